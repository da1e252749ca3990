# shellcheck shell=bash
# Merges 64 shards of a scan of 1e8 points: at most 1.5 times the time of copying their bytes, in less than 1 GiB of memory.
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local folder=$section_work/merge nuscan k first kind
    configure_preset release
    build_preset release "$jobs" nuscan
    nuscan=$(build_folder release)/nuscan
    mkdir -p "$folder"
    cd "$folder"
    cat >grid.toml <<'TOML'
[scan]
experiments = ["xenonnt_sr0"]
[axes]
m_V = { min = 1e-4, max = 1e3, n = 10000, scale = "log" }
g_V = { min = 1e-8, max = 1e-2, n = 10000, scale = "log" }
TOML
    for ((k = 1; k <= 64; k++)); do
        "$nuscan" --quiet scan grid.toml -o out.h5 --shard "$k/64" >/dev/null
    done
    # In turn, each as often first as second, since disks are slower after having written much. The fastest of six counts.
    for first in copy merge copy merge copy merge; do
        rm -f copy merged.h5
        sync .
        for kind in "$first" "$([ "$first" = copy ] && echo merge || echo copy)"; do
            if [ "$kind" = copy ]; then
                seconds cat_to_disk >>copy.s
            else
                seconds "$nuscan" merge out.shard-*.h5 -o merged.h5 >>merge.s
                cat memory >>memory.kb
            fi
        done
    done
    seconds "$nuscan" merge --virtual out.shard-*.h5 -o virtual.h5 >virtual.s
    "$nuscan" validate merged.h5 --points 20
    "$nuscan" diff merged.h5 virtual.h5 --tolerance 0 >same
    local merge copy kilobytes
    merge=$(sort -g merge.s | head -n 1)
    copy=$(sort -g copy.s | head -n 1)
    kilobytes=$(sort -g memory.kb | tail -n 1)
    figure "$merge s to merge, $copy s to copy $(du -ch out.shard-*.h5 | tail -n 1 | cut -f 1): $(ratio "$merge" "$copy") times (1.5 at most)"
    figure "$((kilobytes / 1024)) MiB of memory (1024 at most)"
    figure "$(cat virtual.s) s to merge as a virtual surface (every value is read); $(cat same)"
    [ "$kilobytes" -lt 1048576 ] && awk -v a="$merge" -v b="$copy" 'BEGIN { exit !(a <= 1.5 * b) }'
}

ratio()
{
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

cat_to_disk()
{
    cat out.shard-*.h5 >copy
    sync copy
}

# seconds COMMAND...: prints its time; the largest memory of it and its children goes to the file `memory` [KiB].
seconds()
{
    local begin end
    begin=$(date +%s.%N)
    if [ "$(type -t "$1")" = function ]; then
        "$@" >/dev/null
    else
        "${NUSCAN_PYTHON:?}" - "$@" <<'PYTHON'
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
open("memory", "w").write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}\n")
PYTHON
    fi
    end=$(date +%s.%N)
    awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.2f\n", b - a }'
}
