#include "runtime/streams.hpp"

#include <algorithm>

namespace emulator
{

void do_one(Stream& stream)
{
    Work const work = std::move(stream.work.front());
    stream.work.pop_front();
    work();
}

void finish(Stream& stream)
{
    while (!stream.work.empty())
    {
        do_one(stream);
    }
}

void finish(Record& record)
{
    while (!record.done && record.stream != nullptr && !record.stream->work.empty())
    {
        do_one(*record.stream);
    }
}

Stream& StreamSet::create(bool waits_for_default)
{
    Stream& stream = streams_.emplace_back();
    stream.device = default_stream_.device;
    stream.waits_for_default = waits_for_default;
    return stream;
}

void StreamSet::destroy(Stream& stream)
{
    finish(stream);
    streams_.remove_if([&](Stream const& other) { return &other == &stream; });
}

bool StreamSet::has(Stream const* stream) const
{
    return stream == &default_stream_
           || std::any_of(streams_.begin(), streams_.end(), [&](Stream const& other) { return &other == stream; });
}

void StreamSet::enqueue(Stream& stream, Work work)
{
    if (&stream == &default_stream_)
    {
        for (Stream& other : streams_)
        {
            if (other.waits_for_default)
            {
                finish(other);
            }
        }
    }
    else if (stream.waits_for_default)
    {
        finish(default_stream_);
    }
    stream.work.push_back(std::move(work));
}

void StreamSet::finish_all()
{
    finish(default_stream_);
    for (Stream& stream : streams_)
    {
        finish(stream);
    }
}

void StreamSet::finish_independent(Stream const& but)
{
    for (Stream& stream : streams_)
    {
        if (&stream != &but && !stream.waits_for_default)
        {
            finish(stream);
        }
    }
}

bool StreamSet::idle() const
{
    return default_stream_.work.empty()
           && std::all_of(streams_.begin(), streams_.end(), [](Stream const& stream) { return stream.work.empty(); });
}

void StreamSet::forget_all()
{
    default_stream_.work.clear();
    streams_.clear();
}

} // namespace emulator
