#include "host/scan/scan_output.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "host/support/error.hpp"
#include "host/support/prompt_thread.hpp"

namespace nuscan
{

namespace
{

/// What went wrong with the surface file, and that nothing is lost.
std::exception_ptr continuable(std::exception_ptr failure)
{
    try
    {
        std::rethrow_exception(failure);
    }
    catch (RunError const& problem)
    {
        return std::make_exception_ptr(
            RunError(fmt::format("{}; once that is mended, the same command continues", problem.what())));
    }
    catch (...)
    {
        return failure;
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
    thread_ = std::thread([this] { run(); });
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
    changed_.wait(lock, [&] { return failure_ || condition(); });
    if (failure_)
        std::rethrow_exception(failure_);
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
        if (!busy_ || failure_)
            return;
        ++on_their_way_;
        lock.unlock();
        bool given = false;
        std::exception_ptr failure;
        try
        {
            Chunk const& chunk = chunks_[1 - filling_];
            std::uint32_t const checksum = give(chunk);
            surface_.when_written(
                [this, range = chunk.range(), checksum](std::exception_ptr problem) { record(range, checksum, problem); });
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
        if (failure && !failure_)
            failure_ = continuable(failure);
        changed_.notify_all();
    }
}

/// A chunk is in the file, or is not for \p failure: the next step.
void ScanOutput::record(IndexRange range, std::uint32_t checksum, std::exception_ptr failure)
{
    std::lock_guard const lock(mutex_);
    if (failure)
        failure = continuable(failure);
    else if (!failure_)
    {
        try
        {
            journal_.append(range, checksum);
            ++recorded_;
        }
        catch (...)
        {
            failure = std::current_exception();
        }
    }
    if (failure && !failure_)
        failure_ = failure;
    --on_their_way_;
    changed_.notify_all(); // with the lock: without it, this object may end at once
}

/// Writes a chunk. \returns its checksum, once it is in the file
std::uint32_t ScanOutput::write(Chunk const& chunk)
{
    try
    {
        std::uint32_t const checksum = give(chunk);
        surface_.flush();
        return checksum;
    }
    catch (...)
    {
        std::rethrow_exception(continuable(std::current_exception()));
    }
}

/// Gives a chunk to the file. \returns its checksum
std::uint32_t ScanOutput::give(Chunk const& chunk)
{
    surface_.append(chunk.size(), chunk.chi2.data(), chunk.status.data(), chunk.pulls.empty() ? nullptr : chunk.pulls.data(),
                    chunk.rates.empty() ? nullptr : chunk.rates.data());
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
