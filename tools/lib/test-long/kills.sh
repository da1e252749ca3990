# shellcheck shell=bash
# Kills a scan at 200 random instants and resumes it: final data identical to an undisturbed run's.
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local log=$section_work/kills.log
    configure_preset release
    build_preset release "$jobs" nuscan test_fault
    NUSCAN_FAULT_KILLS=200 "$(build_folder release)/tests/test_fault" \
        --gtest_filter='Fault.KillsAtAnyInstantLoseAChunkAtMost' | tee "$log"
    figure "$(grep -E '^[0-9]+ kills in [0-9]+ scans' "$log")"
}
