#include "host/scan/chunk_worker.hpp"

#include <utility>

#include "host/support/start_thread.hpp"

namespace nuscan
{

ChunkWorker::ChunkWorker(std::unique_ptr<Backend> backend, std::size_t n_pulls, std::size_t n_rates)
    : backend_(std::move(backend))
    , n_pulls_(n_pulls)
    , n_rates_(n_rates)
    , thread_(start_thread([this] { compute(); }))
{
}

ChunkWorker::~ChunkWorker()
{
    {
        std::lock_guard const lock(mutex_);
        ending_ = true;
        changed_.notify_all();
    }
    thread_.join();
}

void ChunkWorker::give(IndexRange range)
{
    std::lock_guard const lock(mutex_);
    given_.push_back(range);
    changed_.notify_all();
}

std::optional<Chunk> ChunkWorker::take()
{
    std::lock_guard const lock(mutex_);
    if (!computed_.empty())
    {
        Chunk chunk = std::move(computed_.front());
        computed_.pop_front();
        return chunk;
    }
    if (auto const failure = std::exchange(failure_, nullptr))
        std::rethrow_exception(failure);
    return std::nullopt;
}

void ChunkWorker::wait(std::chrono::microseconds longest)
{
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, longest, [this] { return has_news(); });
}

void ChunkWorker::compute()
{
    std::unique_lock lock(mutex_);
    for (;;)
    {
        changed_.wait(lock, [this] { return ending_ || !given_.empty(); });
        if (ending_)
            return;
        IndexRange const range = given_.front();
        given_.pop_front();
        lock.unlock();
        Chunk chunk;
        std::exception_ptr failure;
        try
        {
            chunk.begin = range.begin;
            chunk.resize(range.size(), n_pulls_, n_rates_);
            backend_->evaluate(range, chunk.outputs());
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        lock.lock();
        if (failure == nullptr)
            computed_.push_back(std::move(chunk));
        failure_ = failure;
        changed_.notify_all();
        if (failure != nullptr)
            return;
    }
}

} // namespace nuscan
