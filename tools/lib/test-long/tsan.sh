# shellcheck shell=bash
# Runs what has threads with the thread sanitizer: CPU backend, reductions, orchestrator, output, journal, whole scans (preset tsan).
: "${jobs:?}" "${section_work:?}" "${nuscan_clang_packages:?}"

# What is run, and the programs with it; each must match tests. Not here: the ranks of nuscan-mpi, as Open MPI and its own threads are not
# compiled with the sanitizer, which then sees neither their locks nor that a message orders what was done before and after it.
tsan_suites=(
    CpuBackend Backends/Conformance Routes Rows Sets/Lanes Threads/HostReductions ThreadTeam # test_backends
    ChunkQueue Findings RunScan ScanOutputTest SelfCheckRun SelfCheckPoints Profile Plan      # test_scan
    DirectWritesTest FaultyDisk JournalTest                                                   # test_io
    Scan Interruption Validate LimitsCommand                                                  # test_cli: the program itself
)

# The sanitizer must see a race between threads of OpenMP, and none where OpenMP orders them.
check_sanitizer()
{
    local source=$section_work/canary.cpp program=$section_work/canary verdict
    cat >"$source" <<'SOURCE'
#include <cstdio>
int main(int n, char**)
{
    long sum = 0, racy = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 1000; ++i)
        sum += i;
#pragma omp parallel num_threads(4)
    {
#pragma omp critical
        sum += n;
#ifdef RACE
        racy += n;
#endif
    }
    std::printf("%ld\n", sum + racy);
}
SOURCE
    clang++-14 -g -O1 -fopenmp -fsanitize=thread "$source" -o "$program"
    "$program" >"$program.log" 2>&1 || {
        cat "$program.log"
        echo 'error: the thread sanitizer sees a race where OpenMP leaves none' >&2
        return 1
    }
    clang++-14 -g -O1 -fopenmp -fsanitize=thread -DRACE "$source" -o "$program"
    verdict=$("$program" 2>&1 || true)
    [[ $verdict == *'ThreadSanitizer: data race'* ]] || {
        echo 'error: the thread sanitizer does not see a race between threads of OpenMP' >&2
        return 1
    }
}

run_section()
{
    local log=$section_work/tsan.log tool suite
    need_packages "${nuscan_clang_packages[@]}"
    # GCC's OpenMP synchronises in ways that the sanitizer does not see: false alarms everywhere. Clang's has a tool that tells it.
    tool=$(realpath -m "$(clang++-14 -print-resource-dir)/../../libarcher.so")
    [ -f "$tool" ] || {
        printf 'error: %s is missing; it belongs to libomp-14-dev\n' "$tool" >&2
        return 1
    }
    configure_preset tsan
    build_preset tsan "$jobs" nuscan test_backends test_scan test_io test_cli
    export OMP_TOOL_LIBRARIES=$tool TSAN_OPTIONS="ignore_noninstrumented_modules=1 halt_on_error=1 second_deadlock_stack=1"
    # More threads than cores: more orders of events.
    export OMP_NUM_THREADS=4
    check_sanitizer
    for suite in "${tsan_suites[@]}"; do
        # Not grep -q, which ends at once and ctest with it, by a broken pipe.
        ctest --preset tsan --show-only --tests-regex "^$suite\\." | grep -E '^ +Test +#' >/dev/null || {
            printf 'error: no test is called %s\n' "$suite" >&2
            return 1
        }
    done
    ctest --preset tsan --tests-regex "^($(printf '%s\n' "${tsan_suites[@]}" | paste -sd '|'))\\." 2>&1 | tee "$log"
    figure "$(grep -E '^[0-9]+% tests passed' "$log")"
    figure "reports: $(grep -c 'WARNING: ThreadSanitizer' "$log" || true)"
}
