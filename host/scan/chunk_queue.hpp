/// \file
/// Chunks of a scan handed out to several workers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "host/io/journal.hpp"
#include "nuscan/scan/backend.hpp"

namespace nuscan
{

/// Hands out the chunks of a range to workers of any speed and gives the results back in the order of the points.
///
/// A worker that keeps a chunk several times longer than the others need is not waited for: the chunk is handed out once more to an
/// idle one. Whose result comes first does not matter, because results depend on the point alone. So many chunks at most are under way
/// or wait for those before them that memory, and the work lost if everything is killed, stay bounded.
///
/// Knows no clock and no threads: the caller passes the time and takes care that calls do not overlap.
class ChunkQueue
{
public:
    /// Chunks under way or waiting for those before them, for each worker: workers up to so many times slower than the others
    /// cost nothing.
    static constexpr std::int64_t chunks_under_way = 3;
    /// A chunk kept so many times longer than the mean one is handed out once more...
    static constexpr double patience = 3.0;
    /// ...but not before this time [s], in which any message arrives.
    static constexpr double least_patience_s = 0.05;

    /// \param range    points to compute
    /// \param chunk    points of a chunk, at least 1
    /// \param workers  number of workers, at least 1; they are numbered from 0
    ChunkQueue(IndexRange range, std::int64_t chunk, int workers);

    /// What an idle worker is to compute; nothing if there is nothing for it now.
    /// \param now_s  time on any steady clock [s]
    std::optional<IndexRange> hand_out(int worker, double now_s);

    /// Takes a worker's result of a chunk that hand_out() gave it. One that another worker was faster with is dropped.
    void take_back(int worker, Chunk&& chunk, double now_s);

    /// Copies results to \p outputs, which begin with point \p range.begin: as many points of the range as are there without a gap.
    /// They are forgotten then; ranges must follow each other. \returns the number of points copied
    std::int64_t deliver(IndexRange range, PointOutputs const& outputs);

    /// Hands out no chunks from now on but those of the points before \p end, which the caller still wants, and those under way.
    void stop_at(std::int64_t end);

    /// Whether every result of what was handed out is delivered.
    bool drained() const { return slots_.empty(); }

    /// Mean time from handing a chunk out to taking it back [s]; 0 before the first one.
    double mean_duration_s() const { return returned_ > 0 ? total_duration_s_ / static_cast<double>(returned_) : 0.0; }

private:
    struct Slot
    {
        std::int64_t end = 0;
        std::map<int, double> workers; ///< who has it, and since when
        bool done = false;
        Chunk chunk;
    };

    std::int64_t chunk_;
    std::int64_t last_; ///< behind the last point of the range
    std::int64_t end_;  ///< behind the last point that may be handed out
    std::int64_t next_; ///< the first point that nobody was given
    std::size_t most_slots_;
    std::map<std::int64_t, Slot> slots_; ///< by first point: under way, or not yet delivered
    std::int64_t delivered_;             ///< the points before are delivered
    double total_duration_s_ = 0.0;
    std::int64_t returned_ = 0;
};

} // namespace nuscan
