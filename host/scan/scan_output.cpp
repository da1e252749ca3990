#include "host/scan/scan_output.hpp"

#include <algorithm>

namespace nuscan
{

ScanOutput::ScanOutput(Journal& journal, SurfaceWriter& surface, std::vector<std::int64_t> watched)
    : journal_(journal)
    , surface_(surface)
    , watched_(std::move(watched))
{
    std::sort(watched_.begin(), watched_.end());
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

void ScanOutput::run()
{
    bool earlier = true;
    for (;;)
    {
        std::exception_ptr failure;
        try
        {
            if (earlier)
                journal_.for_each([this](Chunk const& chunk) { write(chunk); });
            else
            {
                Chunk const& chunk = chunks_[1 - filling_];
                journal_.append(chunk);
                write(chunk);
            }
        }
        catch (...)
        {
            failure = std::current_exception();
        }
        earlier = false;
        std::unique_lock lock(mutex_);
        busy_ = false;
        failure_ = failure;
        changed_.notify_all();
        changed_.wait(lock, [this] { return busy_ || closing_; });
        if (!busy_ || failure_)
            return;
    }
}

void ScanOutput::write(Chunk const& chunk)
{
    findings_.add(findings_of(chunk.begin, chunk.size(), chunk.chi2.data(), chunk.status.data()));
    for (auto point = std::lower_bound(watched_.begin(), watched_.end(), chunk.begin);
         point != watched_.end() && *point < chunk.begin + chunk.size(); ++point)
        watched_chi2_[*point] = chunk.chi2[static_cast<std::size_t>(*point - chunk.begin)];
    surface_.append(chunk.size(), chunk.chi2.data(), chunk.status.data(), chunk.pulls.empty() ? nullptr : chunk.pulls.data(),
                    chunk.rates.empty() ? nullptr : chunk.rates.data());
}

} // namespace nuscan
