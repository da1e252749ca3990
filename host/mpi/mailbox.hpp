/// \file
/// Messages between the ranks of an MPI program.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <vector>

#include <mpi.h>

namespace nuscan
{

struct Message
{
    int rank = 0; ///< who sent it, or is to get it
    int tag = 0;
    std::vector<char> bytes;

    std::string text() const { return {bytes.begin(), bytes.end()}; }
};

/// Sends and receives messages without waiting for anybody: a rank that hangs holds no other one up, and nobody keeps a processor busy with
/// waiting, as MPI's own does. Messages move while a function of this class is called, by one thread at a time.
class Mailbox
{
public:
    Mailbox() = default;
    Mailbox(Mailbox const&) = delete;
    Mailbox& operator=(Mailbox const&) = delete;

    /// Begins to send a message.
    void send(Message message);

    /// The next message, if one has arrived whole. Two of the same rank may come in another order than they were sent in.
    std::optional<Message> receive();

    /// Whether messages are on their way.
    bool is_busy() const { return !incoming_.empty() || !outgoing_.empty(); }

    /// Whether all messages that were sent have left; call it until they have.
    bool all_sent();

private:
    struct Transfer
    {
        Message message;
        MPI_Request request = MPI_REQUEST_NULL;

        bool is_done();
    };

    std::list<Transfer> incoming_;
    std::list<Transfer> outgoing_;
};

} // namespace nuscan
