# shellcheck shell=bash
# Scans by 2 and 4 MPI ranks: serial bits, kills, ranks that hang, signals, a device for each rank (preset mpi).
: "${jobs:?}" "${section_work:?}" "${nuscan_root:?}" "${nuscan_mpi_packages:?}"

run_section()
{
    local log=$section_work/mpi.log
    need_packages "${nuscan_mpi_packages[@]}"
    configure_preset mpi
    build_preset mpi "$jobs" nuscan nuscan-mpi test_mpi test_scan
    (cd "$nuscan_root" && ctest --preset mpi --label-regex '^mpi$') 2>&1 | tee "$log"
    figure "$(grep -E 'tests passed' "$log")"
    figure "$(mpirun --version | head -n 1)"
    speed | tee "$log"
    figure "$(cat "$log")"
}

# How fast two ranks with one thread each are beside one process with two threads, in points/s of the compute phase.
speed()
{
    local folder=$section_work/speed nuscan threads ranks
    nuscan=$(build_folder mpi)
    # Points enough that the start of the ranks does not count.
    local -a how=("$folder/grid.toml" --device cpu)
    mkdir -p "$folder"
    cat >"$folder/grid.toml" <<'TOML'
[scan]
experiments = ["lz_ws2022"]
[axes]
m_V = { min = 1e-3, max = 1e2, n = 3000, scale = "log" }
g_V = { min = 1e-8, max = 1e-5, n = 5000, scale = "log" }
TOML
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
    "$nuscan/nuscan" scan "${how[@]}" --threads 2 -o "$folder/threads.h5" >/dev/null
    mpirun --oversubscribe --bind-to none -n 2 "$nuscan/nuscan-mpi" scan "${how[@]}" --threads 1 -o "$folder/ranks.h5" >/dev/null
    "$nuscan/nuscan" diff "$folder/threads.h5" "$folder/ranks.h5" --tolerance 0 >/dev/null
    threads=$(points_per_s "$folder/threads.h5")
    ranks=$(points_per_s "$folder/ranks.h5")
    printf 'vector mediator, lz_ws2022, 3000 x 5000 points; points/s: %s by 2 threads, %s by 2 ranks with a thread each\n' "$threads" "$ranks"
}

points_per_s()
{
    "$(build_folder mpi)/nuscan" info "$1" --json | sed -n 's/^ *"points_per_s": \([0-9]*\).*/\1/p' | grep .
}
