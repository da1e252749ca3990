# shellcheck shell=bash
# Feeds hostile files to every reader for NUSCAN_FUZZ_SECONDS (600 unless told) each, from the corpus and what earlier runs left in build/fuzz.
# One at a time, or NUSCAN_FUZZ_JOBS: what runs beside a target slows it down.
: "${nuscan_root:?}" "${section_work:?}"

run_section()
{
    local log=$section_work/fuzz.log status=0
    "$nuscan_root/tools/fuzz" --seconds "${NUSCAN_FUZZ_SECONDS:-600}" --jobs "${NUSCAN_FUZZ_JOBS:-1}" --keep "$nuscan_root/build/fuzz/corpus" | tee "$log" || status=$?
    sed -n '/^target /,$p' "$log" >"$section_work/table"
    figure "$(sed -n 's/^all  *//p' "$log") executions of all targets, ${NUSCAN_FUZZ_SECONDS:-600} s each"
    quote "$section_work/table"
    return "$status"
}
