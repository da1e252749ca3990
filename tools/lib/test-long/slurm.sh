# shellcheck shell=bash
# A scan as a Slurm job array on a one-node cluster: tasks killed and queued again, merged, compared with a serial scan.
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local log=$section_work/slurm.log
    [ "$(id -u)" -eq 0 ] || skip "the daemons of Slurm need root"
    need_packages slurm-wlm:slurmctld munge:munged
    configure_preset release
    build_preset release "$jobs" nuscan
    tests/cluster/array_scan.sh "$(build_folder release)/nuscan" "$section_work/cluster" | tee "$log"
    figure "$(grep 'tasks COMPLETED' "$log")"
    figure "$(tail -n 1 "$log")"
    quote "$log"
}
