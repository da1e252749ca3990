/// \file
/// Where the finished chunks of a scan go while the next ones are computed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "host/io/journal.hpp"
#include "host/io/surface_file.hpp"
#include "host/scan/findings.hpp"

namespace nuscan
{

/// Brings finished chunks into surface file and journal, in threads of its own: the values first, then the record that they are there. One
/// chunk is written while the next is computed, or while the next waits for it, so that memory holds two and a kill loses no more than
/// these. Until the end of the object nobody else uses journal or file; nor HDF5, which knows no threads.
class ScanOutput
{
public:
    /// Computes points again whose values are damaged. \returns false to leave them, and what is behind them, to another run
    using Compute = std::function<bool(IndexRange range, PointOutputs const& outputs)>;

    /// Begins with the chunks that the journal of an earlier run lists. Where the values in the file are not those that were written, or
    /// cannot be read, they are computed again (JournalContents::mended); at the end of the journal they are left to the scan, and their
    /// records dropped (JournalContents::lost_points). If \p compute refuses, nothing more is done: see interrupted().
    /// \param surface  of the points of the journal; one that keeps what the file holds if the journal lists anything
    /// \param watched  indices of points whose chi^2 is kept
    ScanOutput(Journal& journal, SurfaceWriter& surface, std::vector<std::int64_t> watched, Compute const& compute);
    /// Waits for the chunk at work.
    ~ScanOutput();
    ScanOutput(ScanOutput const&) = delete;
    ScanOutput& operator=(ScanOutput const&) = delete;

    /// Whether values of an earlier run were left as they are: there is nothing to do with this object then.
    bool interrupted() const { return interrupted_; }

    /// The chunk to fill next. It stays the same one until put().
    Chunk& chunk() { return chunks_[filling_]; }

    /// Hands over the chunk that was filled, which follows the one before, and waits until that one is recorded. Throws what went wrong with
    /// earlier ones: RunError of journal or file.
    void put();

    /// Waits until everything handed over is recorded. Throws as put().
    void finish();

    /// After finish(): of all points.
    Findings const& findings() const { return findings_; }
    /// After finish(): chi^2 of the points watched, by index.
    std::map<std::int64_t, double> const& watched_chi2() const { return watched_chi2_; }

private:
    void take_over(Compute const& compute);
    std::string take_over(std::size_t record);
    void run();
    std::uint32_t write(Chunk const& chunk);
    std::uint32_t give(Chunk const& chunk);
    void note(Chunk const& chunk);
    void record(IndexRange range, std::uint32_t checksum, int error) noexcept;
    bool has_failed() const { return failure_ || write_error_ != 0; }
    template<class Condition>
    void wait(std::unique_lock<std::mutex>& lock, Condition&& condition);

    Journal& journal_;
    SurfaceWriter& surface_;
    std::vector<std::int64_t> watched_; ///< ascending
    std::map<std::int64_t, double> watched_chi2_;
    Findings findings_;

    Chunk chunks_[2];
    int filling_ = 0;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool busy_ = false;             ///< the thread, with the other chunk
    std::int64_t handed_over_ = 0;  ///< chunks
    std::int64_t on_their_way_ = 0; ///< of these, those that the file was given and that record() was not called for
    std::int64_t recorded_ = 0;     ///< of these, those in the journal
    bool has_gap_ = false;          ///< a chunk is missing in the journal: what comes after it does not belong there
    bool closing_ = false;
    bool interrupted_ = false;
    int write_error_ = 0; ///< errno of the file, 0 for none
    std::exception_ptr failure_;
    std::thread thread_;
};

} // namespace nuscan
