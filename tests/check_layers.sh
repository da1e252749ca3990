#!/usr/bin/env bash
# Dependencies point one way: core <- physics <- detector, stats <- scan <- host, kernels; include/ is free of I/O and CUDA APIs.
set -euo pipefail
cd "$1"
status=0

forbid() { # <folder> <extended regular expression> <why>
    local hits
    if hits=$(grep -rnE "$2" "$1"); then
        printf '%s: %s\n%s\n' "$1" "$3" "$hits" >&2
        status=1
    fi
}

layer='#include "nuscan/'
forbid include '#include [<"](hdf5|fmt|spdlog|cuda|thrust|cub|toml|CLI|nlohmann|boost)' 'public headers stay free of libraries'
forbid include '#include "(host|kernels)/' 'public headers do not know host or kernels'
forbid include '__CUDA_ARCH__' 'one source for host and device'
forbid include/nuscan/core "$layer(physics|detector|stats|scan)/" 'core is the lowest layer'
forbid include/nuscan/physics "$layer(detector|stats|scan)/" 'physics knows core only'
forbid include/nuscan/detector "$layer(stats|scan)/" 'detector knows core and physics'
forbid include/nuscan/stats "$layer(physics|detector)/" 'stats knows nothing of physics'
forbid kernels '#include "host/(cli|io|inputs|stats)/' 'kernels know no files and no command line'
forbid host '#include "kernels/' 'host links kernels, it does not include them'
# The reference shares input tables and names with the code it checks, and nothing else.
forbid host/backends/reference_cross_section.cpp "$layer(physics|detector|stats)/" 'the reference writes its own formulas'
forbid host/backends/reference_response.cpp "$layer(physics|detector|stats)/" 'the reference writes its own folding'
forbid host/backends/reference_likelihood.cpp "$layer(physics|detector)/|$layer""stats/chi2" 'the reference writes its own chi^2'
exit $status
