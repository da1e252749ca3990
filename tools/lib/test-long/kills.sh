# shellcheck shell=bash
# Kills scans at 200 random instants, of small and of large pieces and on a slow disk, and resumes them: final data identical to an undisturbed run's.
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local log=$section_work/kills.log
    configure_preset release
    build_preset release "$jobs" nuscan test_fault
    NUSCAN_FAULT_KILLS=200 "$(build_folder release)/tests/test_fault" \
        --gtest_filter='Kills.*' | tee "$log"
    figure "small pieces: $(grep -E '^[0-9]+ kills in [0-9]+ scans' "$log" | sed -n 1p)"
    figure "large pieces: $(grep -E '^[0-9]+ kills in [0-9]+ scans' "$log" | sed -n 2p)"
    figure "slow disk: $(grep -E '^[0-9]+ kills in [0-9]+ scans' "$log" | sed -n 3p)"
    while read -r line; do
        figure "$line (a chunk for each thread is allowed)"
    done < <(grep -E '^[0-9]+ kills of scans by' "$log")
}
