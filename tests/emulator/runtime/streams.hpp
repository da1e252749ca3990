#pragma once
// Streams and events. Work waits in its stream until the program waits for it (Streams::deferred), so that what was forgotten to be
// waited for has not happened yet when it is used.

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <memory>

namespace emulator
{

using Work = std::function<void()>;

// One cudaEventRecord.
struct Record
{
    struct Stream* stream = nullptr; // while not done
    bool done = false;
    std::chrono::steady_clock::time_point time;
};

struct Stream
{
    int device = 0;
    bool waits_for_default = true; // not so with cudaStreamNonBlocking
    std::deque<Work> work;
};

struct Event
{
    int device = 0;
    bool has_timing = true;
    std::shared_ptr<Record> record; // the last one
};

class StreamSet // of one device
{
public:
    explicit StreamSet(int device) { default_stream_.device = device; }
    Stream& default_stream() { return default_stream_; }
    Stream& create(bool waits_for_default);
    void destroy(Stream& stream);
    bool has(Stream const* stream) const;
    std::size_t count() const { return streams_.size(); }

    // Work given to the default stream comes after that of all streams that wait for it, and theirs after its.
    void enqueue(Stream& stream, Work work);
    void finish_all();
    // All other streams that wait for none.
    void finish_independent(Stream const& but);
    bool idle() const;
    void forget_all(); // drops the work

private:
    Stream default_stream_;
    std::list<Stream> streams_;
};

void do_one(Stream& stream);
void finish(Stream& stream);
void finish(Record& record);

} // namespace emulator
