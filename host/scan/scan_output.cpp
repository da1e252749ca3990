#include "host/scan/scan_output.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "host/support/error.hpp"

namespace nuscan
{

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
}

void ScanOutput::put()
{
    {
        std::unique_lock lock(mutex_);
        wait(lock);
        filling_ = 1 - filling_;
        busy_ = true;
    }
    changed_.notify_all();
}

void ScanOutput::finish()
{
    std::unique_lock lock(mutex_);
    wait(lock);
}

void ScanOutput::wait(std::unique_lock<std::mutex>& lock)
{
    changed_.wait(lock, [this] { return !busy_; });
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
            write(chunk);
            journal_.replace(i++, chunk, reason);
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
    std::unique_lock lock(mutex_);
    for (;;)
    {
        changed_.wait(lock, [this] { return busy_ || closing_; });
        if (!busy_ || failure_)
            return;
        lock.unlock();
        std::exception_ptr failure;
        try
        {
            Chunk const& chunk = chunks_[1 - filling_];
            write(chunk);
            journal_.append(chunk);
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        lock.lock();
        busy_ = false;
        failure_ = failure;
        changed_.notify_all();
    }
}

void ScanOutput::write(Chunk const& chunk)
{
    findings_.add(findings_of(chunk.begin, chunk.size(), chunk.chi2.data(), chunk.status.data()));
    for (auto point = std::lower_bound(watched_.begin(), watched_.end(), chunk.begin);
         point != watched_.end() && *point < chunk.begin + chunk.size(); ++point)
        watched_chi2_[*point] = chunk.chi2[static_cast<std::size_t>(*point - chunk.begin)];
    try
    {
        surface_.append(chunk.size(), chunk.chi2.data(), chunk.status.data(), chunk.pulls.empty() ? nullptr : chunk.pulls.data(),
                        chunk.rates.empty() ? nullptr : chunk.rates.data());
    }
    catch (RunError const& problem)
    {
        throw RunError(fmt::format("{}; once that is mended, the same command continues", problem.what()));
    }
}

} // namespace nuscan
