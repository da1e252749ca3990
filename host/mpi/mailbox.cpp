#include "host/mpi/mailbox.hpp"

#include <utility>

namespace nuscan
{

bool Mailbox::Transfer::is_done()
{
    int done = 0;
    MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    return done != 0;
}

void Mailbox::send(Message message)
{
    Transfer& transfer = outgoing_.emplace_back();
    transfer.message = std::move(message);
    Message const& out = transfer.message;
    MPI_Isend(out.bytes.data(), static_cast<int>(out.bytes.size()), MPI_BYTE, out.rank, out.tag, MPI_COMM_WORLD, &transfer.request);
}

std::optional<Message> Mailbox::receive()
{
    all_sent();
    // One at a time: more of them would wait here instead of where they come from.
    int there = 0;
    MPI_Message handle;
    MPI_Status status;
    MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &handle, &status);
    if (there != 0)
    {
        int size = 0;
        MPI_Get_count(&status, MPI_BYTE, &size);
        Transfer& transfer = incoming_.emplace_back();
        transfer.message = {status.MPI_SOURCE, status.MPI_TAG, std::vector<char>(static_cast<std::size_t>(size))};
        MPI_Imrecv(transfer.message.bytes.data(), size, MPI_BYTE, &handle, &transfer.request);
    }
    for (auto transfer = incoming_.begin(); transfer != incoming_.end(); ++transfer)
        if (transfer->is_done())
        {
            Message message = std::move(transfer->message);
            incoming_.erase(transfer);
            return message;
        }
    return std::nullopt;
}

bool Mailbox::all_sent()
{
    std::erase_if(outgoing_, [](Transfer& transfer) { return transfer.is_done(); });
    return outgoing_.empty();
}

} // namespace nuscan
