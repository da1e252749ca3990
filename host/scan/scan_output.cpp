#include "host/scan/scan_output.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/support/prompt_thread.hpp"
#include "host/support/start_thread.hpp"

namespace nuscan
{

namespace
{

/// Does something with the surface file: where that fails, the message says that nothing is lost.
template<class Action>
void continuably(Action&& action)
{
    try
    {
        action();
    }
    catch (RunError const& problem)
    {
        throw RunError(fmt::format("{}; once that is mended, the same command continues", problem.what()));
    }
}

} // namespace

ScanOutput::ScanOutput(Journal& journal, SurfaceWriter& surface, std::vector<std::int64_t> watched, Compute const& compute)
    : journal_(journal)
    , surface_(surface)
    , watched_(std::move(watched))
{
    std::sort(watched_.begin(), watched_.end());
    take_over(compute);
    thread_ = start_thread([this] { run(); });
}

ScanOutput::~ScanOutput()
{
    {
        std::lock_guard const lock(mutex_);
        closing_ = true;
    }
    changed_.notify_all();
    thread_.join();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return on_their_way_ == 0; });
}

void ScanOutput::put()
{
    std::unique_lock lock(mutex_);
    wait(lock, [this] { return !busy_; });
    filling_ = 1 - filling_;
    busy_ = true;
    ++handed_over_;
    changed_.notify_all();
    // Now, before more is computed: a kill is not to cost three chunks.
    wait(lock, [this] { return recorded_ >= handed_over_ - 1; });
}

void ScanOutput::finish()
{
    std::unique_lock lock(mutex_);
    wait(lock, [this] { return recorded_ == handed_over_; });
}

template<class Condition>
void ScanOutput::wait(std::unique_lock<std::mutex>& lock, Condition&& condition)
{
    // Chunks on their way when another fails are recorded yet, or fail themselves.
    changed_.wait(lock, [&] { return (has_failed() && on_their_way_ == 0) || condition(); });
    if (failure_)
        std::rethrow_exception(failure_);
    if (write_error_ != 0)
        continuably([this] { throw surface_.write_error(write_error_); });
}

/// Reads the values of a record. \returns what is wrong with them, nothing if they are those of the checksum
std::string ScanOutput::take_over(std::size_t record)
{
    JournalContents const& found = journal_.contents();
    JournalRecord const& expected = found.records[record];
    Chunk& chunk = chunks_[filling_];
    chunk.begin = expected.range.begin;
    chunk.resize(expected.range.size(), found.head.n_pulls, found.head.n_rates);
    if (!expected.known)
        return fmt::format("their record in {} is damaged (checksum)", journal_.path().filename().string());
    try
    {
        surface_.recover(expected.range, chunk.outputs());
    }
    catch (RunError const& problem) // a damaged disk
    {
        return problem.what();
    }
    if (chunk.checksum() != expected.checksum)
        return fmt::format("they are not what {} says (checksum)", journal_.path().filename().string());
    return {};
}

void ScanOutput::take_over(Compute const& compute)
{
    std::size_t const n = journal_.contents().records.size();
    Chunk& chunk = chunks_[filling_];
    for (std::size_t i = 0; i < n;)
    {
        std::vector<std::string> reasons; // of the records from i on
        for (auto reason = take_over(i); !reason.empty(); reason = take_over(i + reasons.size()))
        {
            reasons.push_back(reason);
            if (i + reasons.size() == n)
            {
                journal_.drop_from(i);
                return;
            }
        }
        for (std::string const& reason : reasons)
        {
            IndexRange const range = journal_.contents().records[i].range;
            chunk.begin = range.begin;
            chunk.resize(range.size(), journal_.contents().head.n_pulls, journal_.contents().head.n_rates);
            if (!compute(range, chunk.outputs()))
            {
                interrupted_ = true;
                return;
            }
            journal_.replace(i++, write(chunk), reason);
        }
        if (reasons.empty())
        {
            write(chunk);
            ++i;
        }
    }
}

void ScanOutput::run()
{
    be_prompt();
    std::unique_lock lock(mutex_);
    for (;;)
    {
        changed_.wait(lock, [this] { return busy_ || closing_; });
        if (!busy_ || has_failed())
            return;
        ++on_their_way_;
        lock.unlock();
        bool given = false;
        std::exception_ptr failure;
        try
        {
            Chunk const& chunk = chunks_[1 - filling_];
            std::uint32_t const checksum = give(chunk);
            continuably([&] {
                surface_.when_written(
                    [this, range = chunk.range(), checksum](int error) noexcept { record(range, checksum, error); });
            });
            given = true;
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        lock.lock();
        busy_ = false;
        if (!given)
            --on_their_way_;
        if (!failure_)
            failure_ = failure;
        changed_.notify_all();
    }
}

/// A chunk is in the file, or is not for \p error: the next step.
void ScanOutput::record(IndexRange range, std::uint32_t checksum, int error) noexcept
{
    std::lock_guard const lock(mutex_);
    if (write_error_ == 0)
        write_error_ = error;
    has_gap_ = has_gap_ || error != 0;
    if (!has_gap_)
    {
        try
        {
            journal_.append(range, checksum);
            ++recorded_;
        }
        catch (...)
        {
            has_gap_ = true;
            if (!failure_)
                failure_ = std::current_exception();
        }
    }
    --on_their_way_;
    changed_.notify_all(); // with the lock: without it, this object may end at once
}

/// Writes a chunk. \returns its checksum, once it is in the file
std::uint32_t ScanOutput::write(Chunk const& chunk)
{
    std::uint32_t const checksum = give(chunk);
    continuably([this] { surface_.flush(); });
    return checksum;
}

/// Gives a chunk to the file. \returns its checksum
std::uint32_t ScanOutput::give(Chunk const& chunk)
{
    continuably([&] {
        surface_.append(chunk.size(), chunk.chi2.data(), chunk.status.data(), chunk.pulls.empty() ? nullptr : chunk.pulls.data(),
                        chunk.rates.empty() ? nullptr : chunk.rates.data());
    });
    // While the disk is at work.
    note(chunk);
    return chunk.checksum();
}

/// Keeps what is to be known of its points.
void ScanOutput::note(Chunk const& chunk)
{
    findings_.add(findings_of(chunk.begin, chunk.size(), chunk.chi2.data(), chunk.status.data()));
    for (auto point = std::lower_bound(watched_.begin(), watched_.end(), chunk.begin);
         point != watched_.end() && *point < chunk.begin + chunk.size(); ++point)
        watched_chi2_[*point] = chunk.chi2[static_cast<std::size_t>(*point - chunk.begin)];
}

} // namespace nuscan
