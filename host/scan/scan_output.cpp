#include "host/scan/scan_output.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "host/support/error.hpp"

namespace nuscan
{

ScanOutput::ScanOutput(Journal& journal, SurfaceWriter& surface, std::vector<std::int64_t> watched)
    : journal_(journal)
    , surface_(surface)
    , watched_(std::move(watched))
{
    std::sort(watched_.begin(), watched_.end());
    take_over();
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

void ScanOutput::take_over()
{
    JournalContents const& found = journal_.contents();
    Chunk& chunk = chunks_[filling_];
    for (std::size_t i = 0; i < found.records.size(); ++i)
    {
        JournalRecord const& record = found.records[i];
        chunk.begin = record.range.begin;
        chunk.resize(record.range.size(), found.head.n_pulls, found.head.n_rates);
        bool readable = true;
        try
        {
            surface_.recover(record.range, chunk.outputs());
        }
        catch (RunError const&) // a damaged disk: as good as other values
        {
            readable = false;
        }
        if (!readable || chunk.checksum() != record.checksum)
        {
            journal_.drop_from(i);
            return;
        }
        write(chunk);
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
