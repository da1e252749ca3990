# shellcheck shell=bash
# A Slurm cluster of this machine alone, for a test; sourced, not run. Needs root, slurm-wlm and munge. Everything that it writes is below
# one folder, it listens on the loopback interface only, and it disturbs no other Slurm or munge of the machine.

slurm_daemons=()

# two_free_ports: prints them.
two_free_ports()
{
    "${NUSCAN_PYTHON:-python3}" - <<'PYTHON'
import socket

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

# wait_for SECONDS COMMAND...: runs it again and again until it succeeds; fails after that time.
wait_for()
{
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.1
    done
}

node_is_idle()
{
    [ "$(sinfo --noheader --format=%T)" = idle ]
}

# start_slurm FOLDER: exports SLURM_CONF. Fails with the daemons' last words if the node does not come up.
start_slurm()
{
    local folder=$1 node controller_port node_port memory
    node=$(hostname -s)
    read -r controller_port node_port < <(two_free_ports)
    memory=$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
    mkdir -p "$folder"/{state,spool,log,run}
    # munged trusts no folder or key that others may write.
    mkdir -m 0700 "$folder/key"
    head -c 256 /dev/urandom >"$folder/key/munge.key"
    chmod 0400 "$folder/key/munge.key"
    chmod 0755 "$folder" "$folder/run"
    munged --foreground --force --socket="$folder/run/munge" --key-file="$folder/key/munge.key" --pid-file="$folder/key/pid" \
        --seed-file="$folder/key/seed" --log-file="$folder/key/log" >"$folder/log/munged" 2>&1 &
    slurm_daemons+=($!)
    wait_for 10 test -S "$folder/run/munge" || fail_with "$folder/log/munged" "munged does not start"

    export SLURM_CONF=$folder/slurm.conf
    {
        printf '%s\n' "ClusterName=nuscan-test" "SlurmctldHost=$node(127.0.0.1)" SlurmUser=root SlurmdUser=root
        printf '%s\n' "SlurmctldPort=$controller_port" "SlurmdPort=$node_port"
        printf '%s\n' "AuthType=auth/munge" "CredType=cred/munge" "AuthInfo=socket=$folder/run/munge"
        printf '%s\n' "StateSaveLocation=$folder/state" "SlurmdSpoolDir=$folder/spool"
        printf '%s\n' "SlurmctldPidFile=$folder/run/slurmctld.pid" "SlurmdPidFile=$folder/run/slurmd.pid"
        printf '%s\n' "SlurmctldLogFile=$folder/log/slurmctld" "SlurmdLogFile=$folder/log/slurmd"
        # Without control groups and without a data base: neither is there in a container.
        printf '%s\n' ProctrackType=proctrack/linuxproc TaskPlugin=task/none JobAcctGatherType=jobacct_gather/none
        printf '%s\n' AccountingStorageType=accounting_storage/none MpiDefault=none SwitchType=switch/none MailProg=/bin/true
        printf '%s\n' SelectType=select/cons_tres SelectTypeParameters=CR_Core_Memory ReturnToService=2
        # Nobody else waits: jobs start at once.
        printf '%s\n' "SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0"
        printf '%s\n' "NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN"
        printf '%s\n' "PartitionName=test Nodes=$node Default=YES MaxTime=INFINITE State=UP"
    } >"$SLURM_CONF"
    slurmctld -D -c >"$folder/log/slurmctld.out" 2>&1 &
    slurm_daemons+=($!)
    slurmd -D -N "$node" >"$folder/log/slurmd.out" 2>&1 &
    slurm_daemons+=($!)
    wait_for 30 node_is_idle || fail_with "$folder/log/slurmctld" "Slurm does not start"
}

# stop_slurm: ends what start_slurm started, the node's running jobs first.
stop_slurm()
{
    local daemon
    scancel --signal=KILL --full --state=RUNNING --partition=test >/dev/null 2>&1 || true
    for daemon in "${slurm_daemons[@]}"; do
        kill "$daemon" 2>/dev/null || true
    done
    for daemon in "${slurm_daemons[@]}"; do
        wait "$daemon" 2>/dev/null || true
    done
    slurm_daemons=()
}

# fail_with FILE MESSAGE...: the end of a log, the message, exit status 1.
fail_with()
{
    local file=$1
    shift
    tail -n 20 "$file" >&2 2>/dev/null || true
    printf 'error: %s\n' "$*" >&2
    exit 1
}
