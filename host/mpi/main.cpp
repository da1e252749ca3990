// nuscan-mpi: nuscan scan by all ranks of an MPI program.
#include <fmt/format.h>
#include <mpi.h>

#include <exception>

#include "host/cli/cli.hpp"
#include "host/mpi/mpi_team.hpp"

namespace nuscan::cli
{
namespace
{

/// What a rank other than 0 does.
int follow(int argc, char** argv, MpiTeam& team)
{
    int exit_code = exit_failure;
    if (!team.called(exit_code))
        return exit_code;
    try
    {
        return run_program(argc, argv, &team);
    }
    catch (std::bad_alloc const&)
    {
        return team.fail("out of memory; use smaller chunks (--chunk)");
    }
    catch (std::exception const& error)
    {
        return team.fail(error.what());
    }
}

int main(int argc, char** argv)
{
    if (!open_standard_streams())
        return exit_failure;
    // Before MPI, so that a signal to all ranks ends none of them.
    catch_signals();
    MpiTeam team(argc, argv, stop_requested);
    int const exit_code = team.leads() ? explain_failures(
                              [&] { return run_program(argc, argv, &team, fmt::format("mpirun -n {} ", team.size())); })
                                       : follow(argc, argv, team);
    team.finish(exit_code);
    return exit_code;
}

} // namespace
} // namespace nuscan::cli

int main(int argc, char** argv)
{
    return nuscan::cli::explain_failures([&] { return nuscan::cli::main(argc, argv); });
}
