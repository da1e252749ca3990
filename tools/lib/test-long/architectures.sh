# shellcheck shell=bash
# Compiles the device code for all supported architectures (preset cuda).
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local folder compiler cuobjdump wanted asked=$section_work/asked
    folder=$(build_folder cuda)
    configure_preset cuda
    compiler=$(sed -n 's/^CMAKE_CUDA_COMPILER:[A-Z]*=\(\/.*\)/\1/p' "$folder/CMakeCache.txt")
    [ -n "$compiler" ] || skip "no CUDA compiler"
    build_preset cuda "$jobs" nuscan
    grep -oE -- 'code=\[[^]]*\]' "$folder/compile_commands.json" | sort -u | grep -oE '(sm|compute)_[0-9]+' | sort -u -V >"$asked"
    for wanted in sm_80 sm_90 sm_100 sm_120 compute_120; do
        grep -qx "$wanted" "$asked" || {
            printf 'error: %s was not asked for\n' "$wanted" >&2
            return 1
        }
    done
    figure "$("$compiler" --version | grep -oE 'release [0-9.]+' | sed 's/^/CUDA /') compiled for $(paste -sd ' ' "$asked")"
    # What the program holds, where the toolkit has the tool to look.
    cuobjdump=$(dirname "$(readlink -f "$compiler")")/cuobjdump
    if [ ! -x "$cuobjdump" ]; then
        figure "not looked into the program: there is no cuobjdump"
        return 0
    fi
    "$cuobjdump" --list-elf "$folder/nuscan" >"$section_work/cubins"
    while read -r wanted; do
        [[ $wanted != sm_* ]] || grep -q "$wanted\.cubin" "$section_work/cubins" || {
            printf 'error: the program holds no machine code for %s\n' "$wanted" >&2
            return 1
        }
    done <"$asked"
    figure "the program holds machine code for all of them"
}
