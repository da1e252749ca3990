#!/usr/bin/env bash
# A scan as an array of Slurm jobs, of which three do not get through undisturbed; the merged surface has the bits of a scan in one
# piece. usage: array_scan.sh NUSCAN FOLDER
#
# Task 1: its program is killed (kill -9), the failed job is queued again by hand, as after a node that crashed.
# Task 2: gets Slurm's warning before the end of its time (USR1 to the batch shell) and queues itself again.
# Task 3: is cancelled, which it must stay, and queued again by hand.
# Task 4: runs through.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/cluster/one_node_slurm.sh
. "$here/one_node_slurm.sh"
[ $# -eq 2 ] || {
    printf 'usage: %s NUSCAN FOLDER\n' "$0" >&2
    exit 2
}
nuscan=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
shards=4

# Long enough for a person to watch: some seconds for each shard on one processor.
write_inputs()
{
    cat >"$folder/grid.toml" <<'TOML'
[scan]
title = "A scan on a cluster"
experiments = ["xenonnt_sr0"]
[axes]
m_V = { min = 1e-3, max = 1e2, n = 4800, scale = "log" }
g_V = { min = 1e-8, max = 1e-5, n = 1500, scale = "log" }
TOML
    printf 'time = "00:10:00"\nmemory = "500M"\ncpus_per_task = 1\nnuscan = "%s"\nsbatch = ["--comment=test"]\n' "$nuscan" >"$folder/site.toml"
}

how=(--device cpu --route direct --chunk 1000)

# points_of K: points in the journal of a shard.
points_of()
{
    "$nuscan" info --json "$(shard_file "$1").journal" 2>/dev/null | sed -n 's/^ *"done": \([0-9]*\).*/\1/p'
}

shard_file()
{
    printf 'out.shard-%03d-of-%03d.h5' "$1" "$shards"
}

# has_points K LEAST: whether its journal holds more than that.
has_points()
{
    local points
    points=$(points_of "$1")
    [ -n "$points" ] && [ "$points" -gt "$2" ]
}

# program_of K: process of the scan of a shard.
program_of()
{
    local process words
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/exe" 2>/dev/null)" = "$(readlink -f "$nuscan")" ] || continue
        mapfile -d '' -t words <"$process/cmdline" 2>/dev/null || continue
        [[ " ${words[*]} " != *" --shard $1/$shards "* ]] || basename "$process"
    done
}

# state_of K: what Slurm says of a task.
state_of()
{
    scontrol --oneliner show job "${job}_$1" | grep -oE 'JobState=[A-Z_]+' | head -n 1 | cut -d= -f2
}

# detail_of K NAME: another word of that.
detail_of()
{
    scontrol --oneliner show job "${job}_$1" | tr ' ' '\n' | sed -n "s/^$2=//p" | head -n 1
}

state_is()
{
    [ "$(state_of "$1")" = "$2" ]
}

# stopped K: neither running nor on its way out.
stopped()
{
    case $(state_of "$1") in
        FAILED | CANCELLED | NODE_FAIL | TIMEOUT) [ -z "$(program_of "$1")" ] ;;
        *) return 1 ;;
    esac
}

note()
{
    printf '%s\n' "$*"
}

write_inputs
cd "$folder"
trap stop_slurm EXIT
start_slurm "$folder/slurm"
note "$(sinfo --version), one node with $(nproc) processors"

"$nuscan" --quiet scan grid.toml "${how[@]}" -o serial.h5 >/dev/null
note "serial scan: $("$nuscan" info serial.h5 | sed -n 's/^points  *//p') points"

"$nuscan" plan grid.toml --slurm --shards "$shards" --site site.toml "${how[@]}" -o out.h5 >scan.sbatch 2>plan.log
job=$(sbatch --parsable scan.sbatch)
started=$SECONDS
note "array of $shards tasks submitted"

wait_for 60 has_points 1 0 || fail_with out.*_1.log "task 1 computes nothing"
kill -9 "$(program_of 1)"
wait_for 60 stopped 1 || fail_with out.*_1.log "task 1 survived the kill of its program"
first=$(points_of 1)
note "task 1: program killed with SIGKILL after $first points; Slurm: $(state_of 1), exit code $(detail_of 1 ExitCode)"

wait_for 60 has_points 2 0 || fail_with out.*_2.log "task 2 computes nothing"
# A busy Slurm asks to try again later, or does so although the signal arrived.
warn()
{
    scancel --signal=USR1 --batch "$1" || grep -q 'the same command continues' "out.$1.log"
}
wait_for 60 warn "${job}_2" || fail_with "out.${job}_2.log" "task 2 could not be warned"
wait_for 60 grep -q 'the same command continues' "out.${job}_2.log" || fail_with "out.${job}_2.log" "task 2 did not stop"
second=$(sed -n 's/.*interrupted after \([0-9]*\) of.*/\1/p' "out.${job}_2.log" | head -n 1)
note "task 2: warned with USR1, finished its chunk after $second points and queued itself again"

wait_for 120 has_points 3 0 || fail_with out.*_3.log "task 3 computes nothing"
wait_for 60 scancel "${job}_3" || fail_with "out.${job}_3.log" "task 3 could not be cancelled"
wait_for 60 stopped 3 || fail_with out.*_3.log "task 3 is $(state_of 3) although it was cancelled"
third=$(points_of 3)
note "task 3: cancelled after $third points; Slurm: $(state_of 3)"

scontrol requeue "${job}_1"
scontrol requeue "${job}_3"
# Slurm leaves its users two minutes before it starts such jobs.
for task in 1 2 3; do
    scontrol update JobId="${job}_$task" StartTime=now
done
for task in 1 2 3 4; do
    wait_for 400 state_is "$task" COMPLETED || fail_with "out.${job}_$task.log" "task $task is $(state_of "$task")"
done
note "all tasks COMPLETED after $((SECONDS - started)) s; restarts: $(for task in 1 2 3 4; do detail_of "$task" Restarts; done | paste -sd ' ')"

# A restarted task goes on where its journal ended: nothing that was recorded is computed again.
expect_continued()
{
    local begin
    begin=$(sed -n 's/.*shard .*: points \[\([0-9]*\), .*/\1/p' "out.${job}_$1.log" | head -n 1)
    grep -q "continued at point $((begin + $2)) of an interrupted scan" "out.${job}_$1.log" ||
        fail_with "out.${job}_$1.log" "task $1 did not continue at point $((begin + $2))"
}
expect_continued 1 "$first"
expect_continued 2 "$second"
expect_continued 3 "$third"
! grep -q 'continued at' "out.${job}_4.log" || fail_with "out.${job}_4.log" "task 4 was disturbed"
note "tasks 1 to 3 continued exactly where their journals ended"

# With the command that the script itself names.
merge=$(sed -n 's/^# When all are done: nuscan //p' scan.sbatch)
[ -n "$merge" ] || fail_with scan.sbatch "the script does not say how to merge"
eval "\"\$nuscan\" --quiet $merge" >/dev/null
note "merge: $merge"
"$nuscan" diff serial.h5 out.h5 --tolerance 0 | tee diff.txt
grep -q ' 0 not bit-identical' diff.txt || fail_with diff.txt "the merged surface differs"
