/// \file
/// The ranks of an MPI program as a team.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/mpi/mailbox.hpp"
#include "host/scan/scan_team.hpp"

namespace nuscan
{

class ChunkLeader;

/// Rank 0 leads: a thread of it hands out chunks and receives results. Every rank, this one too, computes in a thread of its own and has
/// the next chunk before it is done with one. The others wait without using their processor until rank 0 has checked everything and
/// calls them.
class MpiTeam : public ScanTeam
{
public:
    /// Starts MPI. \param stopped  whether a signal asked this process to end. Throws RunError if MPI knows no threads.
    MpiTeam(int& argc, char**& argv, std::function<bool()> stopped);
    /// Every path ends in finish().
    ~MpiTeam() override;
    MpiTeam(MpiTeam const&) = delete;
    MpiTeam& operator=(MpiTeam const&) = delete;

    int rank() const { return rank_; }
    int size() const { return size_; }

    bool leads() const override { return rank_ == 0; }
    void settle(std::string& device, std::optional<long long>& threads) override;
    void lead(ScanOptions& options) override;
    int work(ScanConfiguration const& configuration, DataFolder& data, ScanOptions const& options) override;

    /// For ranks other than 0: waits until rank 0 calls. \returns false if it ended without, with \p exit_code
    bool called(int& exit_code);
    /// For ranks other than 0: tells rank 0, which ends all, why this one cannot go on. \returns the exit code to end with
    int fail(std::string const& reason);

    /// Ends MPI, on rank 0 after all others were told to end with \p exit_code too. A rank that does not answer is not waited for:
    /// then all are ended at once.
    void finish(int exit_code);

private:
    std::string own_device(std::string const& text) const;
    std::string name(int rank) const;
    void send_all();

    std::function<bool()> stopped_;
    int rank_ = 0;
    int size_ = 1;
    int node_rank_ = 0;              ///< among the ranks of this node
    int node_size_ = 1;              ///< ranks of this node
    int threads_ = 1;                ///< this rank's share of the processors that it may run on
    std::vector<std::string> nodes_; ///< by rank
    std::string call_;               ///< what rank 0 called with
    Mailbox mailbox_;
    std::unique_ptr<ChunkLeader> leader_;
};

} // namespace nuscan
