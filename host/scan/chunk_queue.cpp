#include "host/scan/chunk_queue.hpp"

#include <algorithm>

namespace nuscan
{

ChunkQueue::ChunkQueue(IndexRange range, std::int64_t chunk, int workers)
    : chunk_(chunk)
    , last_(range.end)
    , end_(range.end)
    , next_(range.begin)
    , most_slots_(static_cast<std::size_t>(chunks_under_way) * static_cast<std::size_t>(workers))
    , delivered_(range.begin)
{
}

std::optional<IndexRange> ChunkQueue::hand_out(int worker, double now_s)
{
    if (next_ < end_ && slots_.size() < most_slots_)
    {
        IndexRange const range{next_, std::min(next_ + chunk_, end_)};
        Slot& slot = slots_[range.begin];
        slot.end = range.end;
        slot.workers[worker] = now_s;
        next_ = range.end;
        return range;
    }
    // Nothing new: what somebody has had for too long, the oldest first. Without any result nobody knows what is too long.
    if (returned_ == 0)
        return std::nullopt;
    double const long_ago = now_s - std::max(patience * mean_duration_s(), least_patience_s);
    for (auto& [begin, slot] : slots_)
    {
        bool const overdue = std::all_of(slot.workers.begin(), slot.workers.end(),
                                         [&](auto const& holder) { return holder.second < long_ago; });
        if (slot.done || !overdue || slot.workers.contains(worker))
            continue;
        slot.workers[worker] = now_s;
        return IndexRange{begin, slot.end};
    }
    return std::nullopt;
}

void ChunkQueue::take_back(int worker, Chunk&& chunk, double now_s)
{
    auto const found = slots_.find(chunk.begin);
    if (found == slots_.end() || found->second.done)
        return;
    Slot& slot = found->second;
    total_duration_s_ += now_s - slot.workers.at(worker);
    ++returned_;
    slot.chunk = std::move(chunk);
    slot.done = true;
}

std::int64_t ChunkQueue::deliver(IndexRange range, PointOutputs const& outputs)
{
    std::int64_t copied = 0;
    while (!slots_.empty() && delivered_ < range.end)
    {
        auto const first = slots_.begin();
        Slot const& slot = first->second;
        if (!slot.done)
            break;
        Chunk const& chunk = slot.chunk;
        std::int64_t const n = std::min(slot.end, range.end) - delivered_;
        auto const copy = [&](auto const& values, auto* to) {
            auto const per_point = static_cast<std::int64_t>(values.size()) / chunk.size();
            auto const* const from = values.data() + (delivered_ - chunk.begin) * per_point;
            std::copy(from, from + n * per_point, to + (delivered_ - range.begin) * per_point);
        };
        copy(chunk.chi2, outputs.chi2);
        copy(chunk.status, outputs.status);
        if (outputs.pulls != nullptr)
            copy(chunk.pulls, outputs.pulls);
        if (outputs.rates != nullptr)
            copy(chunk.rates, outputs.rates);
        delivered_ += n;
        copied += n;
        if (delivered_ == slot.end)
            slots_.erase(first);
    }
    return copied;
}

void ChunkQueue::stop_at(std::int64_t end)
{
    end_ = std::clamp(end, next_, last_);
}

} // namespace nuscan
