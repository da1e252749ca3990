/// \file
/// A backend that computes chunks in a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "host/io/journal.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan
{

/// Computes chunk after chunk of those that it was given, in that order, while whoever gave them does other things.
class ChunkWorker
{
public:
    /// \param backend  computes, in the worker's thread
    /// \param n_pulls  pulls per point to compute, 0 for none
    /// \param n_rates  rates per point to compute, 0 for none
    ChunkWorker(std::unique_ptr<Backend> backend, std::size_t n_pulls, std::size_t n_rates);
    /// Finishes the chunk that is being computed and drops all others.
    ~ChunkWorker();
    ChunkWorker(ChunkWorker const&) = delete;
    ChunkWorker& operator=(ChunkWorker const&) = delete;

    std::string backend_name() const { return backend_->name(); }

    /// Adds a chunk to what is to be computed.
    void give(IndexRange range);

    /// The next chunk that is computed, if there is one. Throws what the backend threw, once; nothing is computed after that.
    std::optional<Chunk> take();

    /// Waits until take() has something, but no longer than \p longest.
    void wait(std::chrono::microseconds longest);

private:
    void compute();
    bool has_news() const { return !computed_.empty() || failure_ != nullptr; }

    std::unique_ptr<Backend> backend_;
    std::size_t n_pulls_;
    std::size_t n_rates_;
    std::mutex mutex_; ///< of everything below
    std::condition_variable changed_;
    std::deque<IndexRange> given_;
    std::deque<Chunk> computed_;
    std::exception_ptr failure_;
    bool ending_ = false;
    std::thread thread_; ///< the last member: it uses all others
};

} // namespace nuscan
