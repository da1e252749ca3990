# shellcheck shell=bash
# Runs what has threads with the thread sanitizer: CPU backend, reductions, orchestrator with its self-check, journal (preset tsan).
: "${jobs:?}" "${section_work:?}" "${nuscan_clang_packages:?}"

run_section()
{
    local log=$section_work/tsan.log tool
    need_packages "${nuscan_clang_packages[@]}"
    # GCC's OpenMP synchronises in ways that the sanitizer does not see: false alarms everywhere. Clang's has a tool that tells it.
    tool=$(realpath -m "$(clang++-14 -print-resource-dir)/../../libarcher.so")
    [ -f "$tool" ] || {
        printf 'error: %s is missing; it belongs to libomp-14-dev\n' "$tool" >&2
        return 1
    }
    configure_preset tsan
    build_preset tsan "$jobs" test_backends test_scan test_io
    export OMP_TOOL_LIBRARIES=$tool TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 second_deadlock_stack=1"
    # More threads than cores: more orders of events.
    export OMP_NUM_THREADS=4
    ctest --preset tsan --tests-regex 'Cpu|Conformance|Routes|Lanes|Reduction|Orchestrator|ChunkQueue|JournalTest' 2>&1 | tee "$log"
    figure "$(grep -E '^[0-9]+% tests passed' "$log")"
    grep -q 'ThreadSanitizer' "$log" && figure "reports: $(grep -c 'WARNING: ThreadSanitizer' "$log")"
    return 0
}
