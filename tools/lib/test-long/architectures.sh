# shellcheck shell=bash
# Compiles the device code for all supported architectures (preset cuda).
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local folder listing wanted
    folder=$(build_folder cuda)
    configure_preset cuda
    grep -q '^CMAKE_CUDA_COMPILER:[A-Z]*=/' "$folder/CMakeCache.txt" || skip "no CUDA compiler"
    build_preset cuda "$jobs" nuscan
    # What the program holds is what counts, not what was asked for.
    listing=$section_work/cubins
    cuobjdump_of_build "$folder" --list-elf "$folder/nuscan" >"$listing"
    for wanted in sm_80 sm_90 sm_100 sm_120; do
        grep -q "$wanted\.cubin" "$listing" || {
            printf 'error: no machine code for %s\n' "$wanted" >&2
            return 1
        }
    done
    cuobjdump_of_build "$folder" --list-ptx "$folder/nuscan" | grep -q sm_120 || {
        printf 'error: no PTX for devices to come\n' >&2
        return 1
    }
    figure "machine code for $(grep -oE 'sm_[0-9]+[a-z]?' "$listing" | sort -u -V | paste -sd ' '), PTX for sm_120"
}

# cuobjdump of the toolkit whose nvcc was used.
cuobjdump_of_build()
{
    local compiler
    compiler=$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=//p' "$1/CMakeCache.txt")
    shift
    "$(dirname "$(readlink -f "$compiler")")/cuobjdump" "$@"
}
