# shellcheck shell=bash
# Runs the whole test suite with address and undefined-behaviour sanitizers (preset asan, g++).
: "${jobs:?}" "${section_work:?}"

run_section()
{
    local log=$section_work/asan.log
    configure_preset asan
    build_preset asan "$jobs"
    ctest --preset asan --parallel "$jobs" 2>&1 | tee "$log"
    figure "$(grep -E '^[0-9]+% tests passed' "$log")"
}
