#include "host/cli/cli.hpp"

int main(int argc, char** argv)
{
    using namespace nuscan::cli;
    if (!open_standard_streams())
        return exit_failure;
    return explain_failures([&] { return run_program(argc, argv); });
}
