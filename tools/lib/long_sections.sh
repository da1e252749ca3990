# shellcheck shell=bash
# Sections of tools/test-long; sourced, not run. Expects nuscan_root, jobs and tools/lib/setup.sh.
#
# A section is one file, tools/lib/test-long/NAME.sh. Its first comment line says what it does; it defines `run_section`, which is
# called in a shell of its own (errexit on, working folder: the root of the tree), fails by a non-zero status, and tells what it measured
# through the functions below. Nothing else has to be registered.
: "${nuscan_root:?must be set before this file is sourced}" "${jobs:?must be set before this file is sourced}"

# figure TEXT...: a line of the section's record, a measured figure with its unit.
figure()
{
    printf '   %s\n' "$*"
    printf -- '- %s\n' "$*" >>"$section_notes"
}

# quote FILE: puts a short text, such as what a tool printed, into the record; paths of this machine are left out.
quote()
{
    {
        printf '\n```text\n'
        sed -e "s|$section_work|WORK|g" -e "s|$nuscan_root|.|g" -e "s|$(hostname -s)|node|g" -e 's/[[:space:]]*$//' "$1"
        printf '```\n'
    } >>"$section_quotes"
}

# skip REASON...: ends the section: it cannot run here.
skip()
{
    figure "skipped: $*"
    exit 77
}

# build_folder PRESET: where configure_preset builds.
build_folder()
{
    printf '%s/build/%s\n' "$nuscan_root" "$1"
}

section_file()
{
    printf '%s/tools/lib/test-long/%s.sh\n' "$nuscan_root" "$1"
}

section_names()
{
    local file
    for file in "$nuscan_root"/tools/lib/test-long/*.sh; do
        basename "$file" .sh
    done
}

list_sections()
{
    local name
    for name in $(section_names); do
        printf '%-14s %s\n' "$name" "$(sed -n '/^# shellcheck/!s/^# //p' "$(section_file "$name")" | head -n 1)"
    done
}

# The commit under test; records of earlier sections are no change of it.
tested_commit()
{
    local commit
    commit=$(git -C "$nuscan_root" rev-parse --short=12 HEAD 2>/dev/null) || commit=unknown
    if [ "$commit" != unknown ] && [ -n "$(git -C "$nuscan_root" status --porcelain -- . ':!tests/long' 2>/dev/null)" ]; then
        commit="$commit with changes"
    fi
    printf '%s\n' "$commit"
}

processor()
{
    local name
    name=$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
    printf '%s, %s cores\n' "${name:-$(uname -m)}" "$(nproc)"
}

# run_sections NAME...: runs them, writes their records, prints the summary; 1 if any failed.
run_sections()
{
    local name status verdict start seconds summary="" failed=0 commit record
    commit=$(tested_commit)
    section_work=$(mktemp -d)
    trap 'rm -rf -- "$section_work"' EXIT
    for name in "$@"; do
        say "section $name"
        section_notes=$section_work/$name.notes
        section_quotes=$section_work/$name.quotes
        : >"$section_notes"
        : >"$section_quotes"
        start=$(date -u +%Y-%m-%dT%H:%M:%SZ)
        seconds=$SECONDS
        status=0
        # A process of its own: errexit holds in it although its status is looked at here.
        nuscan_root=$nuscan_root jobs=$jobs section_work=$section_work section_notes=$section_notes section_quotes=$section_quotes \
            bash -c '
                set -euo pipefail
                . "$nuscan_root/tools/lib/setup.sh"
                . "$nuscan_root/tools/lib/long_sections.sh"
                . "$1"
                cd "$nuscan_root"
                run_section' section "$(section_file "$name")" || status=$?
        seconds=$((SECONDS - seconds))
        case $status in
            0) verdict=passed ;;
            77) verdict=skipped ;;
            *)
                verdict=FAILED
                failed=1
                ;;
        esac
        # A run that could not be made leaves the record of the last one that was.
        if [ "$verdict" != skipped ]; then
            record=$nuscan_root/tests/long/$name.md
            mkdir -p "$nuscan_root/tests/long"
            {
                printf '# %s: %s\n\n' "$name" "$verdict"
                printf '%s\n\n' "$(sed -n '/^# shellcheck/!s/^# //p' "$(section_file "$name")" | head -n 1)"
                # shellcheck disable=SC2016  # backquotes of Markdown
                printf 'By `tools/test-long %s`, %s, commit %s, %s, %s s.\n\n' "$name" "$start" "$commit" "$(processor)" "$seconds"
                cat "$section_notes" "$section_quotes"
            } >"$record"
        fi
        summary+=$(printf '%-14s %-8s %6s s' "$name" "$verdict" "$seconds")$'\n'
        [ ! -s "$section_notes" ] || summary+=$(sed 's/^- /    /' "$section_notes")$'\n'
    done
    say "summary, commit $commit"
    printf '%s' "$summary"
    return "$failed"
}
