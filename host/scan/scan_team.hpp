/// \file
/// Processes that compute one scan together.
#pragma once

#include <optional>
#include <string>

#include "host/inputs/table.hpp"
#include "host/scan/configuration.hpp"
#include "host/scan/orchestrator.hpp"

namespace nuscan
{

/// This process as one of several that share the chunks of a scan. One of them leads: it alone checks the input, keeps the journal and
/// writes the output, just as if it were alone.
class ScanTeam
{
public:
    virtual ~ScanTeam() = default;

    /// Whether this process leads.
    virtual bool leads() const = 0;

    /// Settles what the options of all mean for this one, which shares a node with others.
    /// \param device   what --device was given: afterwards what it means here
    /// \param threads  what --threads was given, empty for none: afterwards the number of threads
    /// Throws InputError where the processes of a node cannot share what is asked for.
    virtual void settle(std::string& device, std::optional<long long>& threads) = 0;

    /// For the one that leads: makes run_scan() hand out its chunks to all.
    virtual void lead(ScanOptions& options) = 0;

    /// For the others: computes what the leader hands out until it says that there is no more. Throws InputError and RunError as
    /// run_scan() does, and RunError if this is not the leader's scan. \returns the exit code that the leader ended with
    virtual int work(ScanConfiguration const& configuration, DataFolder& data, ScanOptions const& options) = 0;
};

} // namespace nuscan
