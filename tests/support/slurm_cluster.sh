#!/bin/bash
# A real Slurm on this one machine, for tests: slurmctld and several slurmd, each "node" in
# namespaces of its own (host name, process ids, /proc), so that the nodes see different hosts and
# the same process ids, as on a cluster. See --help.
set -u
PATH=/usr/sbin:/usr/bin:/sbin:/bin
program=$(readlink -f "$0")

help() {
    cat <<'HELP'
usage: slurm-test-cluster start [OPTIONS]     as root; about 5 s; prints the environment to use
       slurm-test-cluster stop [--dir DIR]    ends jobs, nodes, controller; only its own processes
       slurm-test-cluster restart|status|env [--dir DIR]
       slurm-test-cluster kill-node NODE      as if its plug were pulled: every process at once
       slurm-test-cluster start-node NODE     it comes back, empty
       slurm-test-cluster stop-network NODE   its slurmd freezes, jobs go on: an unreachable node
       slurm-test-cluster start-network NODE
       slurm-test-cluster exec NODE COMMAND   run a command in a node's namespaces

options of start:
  --dir DIR        configuration, state, logs (default /tmp/slurm-test-cluster); must not exist,
                   or be one that `stop` left; parents must not be writable by others without
                   sticky bit (munge looks)
  --nodes N        node names n1 .. nN (default 2)
  --cpus C         processors that each node claims (default: this machine's)
  --memory MIB     memory that each node claims (default 4096)
  --port P         first of N + 1 TCP ports on 127.0.0.1 (default 17800)
  --max-array N    MaxArraySize (default 1001, Slurm's own)
  --bind           jobs are bound to the cores they were given (task/affinity). Without, as in
                   Slurm's defaults, a job of one processor sees all of them
  --kill-wait S    seconds between SIGTERM and SIGKILL (default 10; Slurm's own: 30)
  --requeue-wait S seconds a requeued job waits at least (default 5; Slurm's own: 120)
  --auth none      no munge (default: munge, with a key of its own)
  --while PID      stops by itself once that process is gone, however it ended
  --packages       print the Debian packages that it needs, and end

partitions (all nodes are in each):
  main     default; time limit 1 h unless asked otherwise
  short    at most 1 minute: time limits are tested here
  low      preempted by `high`: its jobs get SIGTERM, --grace seconds, then are requeued
  high     preempts `low`

accounting: completed jobs stay in `squeue --states all` and `scontrol show job` for an hour and are
written to DIR/jobs.txt (jobcomp/filetxt). There is no slurmdbd, so `sacct` works only as
`sacct --completion`, if this build can.

    eval "$(slurm-test-cluster start --nodes 2)"
    sbatch --wrap hostname; squeue; sinfo
    slurm-test-cluster stop
HELP
}

fail() { echo "slurm-test-cluster: $*" >&2; exit 1; }

dir=/tmp/slurm-test-cluster nodes=2 cpus=$(nproc) memory=4096 port=17800 array=1001 task=task/none
kill_wait=10 requeue_wait=5 auth=munge owner=
verb=${1:-} word=
[ $# -gt 0 ] && shift
case $verb in
-h | --help | help | '') help; exit ;;
kill-node | start-node | stop-network | start-network | exec) word=${1:-}; [ $# -gt 0 ] && shift ;;
esac
rest=()
while [ $# -gt 0 ]; do
    case $1 in
    --dir) dir=$2; shift ;;
    --nodes) nodes=$2; shift ;;
    --cpus) cpus=$2; shift ;;
    --memory) memory=$2; shift ;;
    --port) port=$2; shift ;;
    --max-array) array=$2; shift ;;
    --kill-wait) kill_wait=$2; shift ;;
    --requeue-wait) requeue_wait=$2; shift ;;
    --auth) auth=$2; shift ;;
    --while) owner=$2; shift ;;
    --bind) task=task/affinity ;;
    --packages) echo slurmctld slurmd slurm-client munge; exit ;;
    -h | --help) help; exit ;;
    --) shift; rest=("$@"); break ;;
    *) if [ "$verb" = exec ]; then rest=("$@"); break; fi; fail "unknown option $1; see --help" ;;
    esac
    shift
done
dir=$(realpath -m "$dir")

# What outlives this script may not hold what its caller has open: locks that others wait for.
for fd in /proc/self/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ] && [ "$fd" -ne 255 ]; then eval "exec $fd>&-"; fi
done

# ---- processes: a pid file holds pid and start time, so that a pid used again is left alone ----

begun() { awk '{sub(/.*\) /, ""); if ($1 != "Z") print $20}' "/proc/$1/stat" 2>/dev/null; } # a zombie has ended
note() { echo "$2 $(begun "$2")" >"$dir/pid/$1"; }
pid_of() { # prints the pid if that very process still runs
    local pid start
    read -r pid start 2>/dev/null <"$dir/pid/$1" || return 1
    [ -n "$start" ] && [ "$(begun "$pid")" = "$start" ] && echo "$pid"
}
inner_of() { # the node's first process, seen from here
    local outer; outer=$(pid_of "$1") || return 1
    tr -d ' ' <"/proc/$outer/task/$outer/children" 2>/dev/null | grep .
}
until_true() { # SECONDS COMMAND...
    local tries=$(($1 * 20)); shift
    while ! "$@" >/dev/null 2>&1; do
        [ $((tries--)) -gt 0 ] || return 1
        sleep 0.05
    done
}
gone() { ! pid_of "$1" >/dev/null; }

environment() {
    echo "export SLURM_CONF=$dir/slurm.conf"
    echo "export SLURM_TEST_CLUSTER=$dir"
}

configure() {
    local socket=$dir/munge.socket auth_lines
    if [ "$auth" = munge ]; then
        auth_lines="AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$socket,cred_expire=$requeue_wait"
    else
        auth_lines="AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=$requeue_wait"
    fi
    {
        cat <<CONF
ClusterName=test
SlurmctldHost=$(hostname)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
SlurmdUser=root
$auth_lines
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool.%n
TmpFS=$dir/tmp.%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/linuxproc
TaskPlugin=$task
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/jobs.txt
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,sched_min_interval=0,bf_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MaxArraySize=$array
MaxJobCount=20000
MinJobAge=3600
KillWait=$kill_wait
CompleteWait=0
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=10
InactiveLimit=0
DefMemPerCPU=256
SlurmdParameters=config_overrides
PropagateResourceLimits=NONE
PropagatePrioProcess=1
CONF
        for i in $(seq "$nodes"); do
            echo "NodeName=n$i NodeHostname=n$i NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=$cpus RealMemory=$memory State=UNKNOWN"
        done
        local all="Nodes=n[1-$nodes]"
        cat <<CONF
PartitionName=main $all Default=YES DefaultTime=60 MaxTime=INFINITE PriorityTier=5 PreemptMode=OFF State=UP
PartitionName=short $all DefaultTime=1 MaxTime=1 PriorityTier=5 PreemptMode=OFF State=UP
PartitionName=low $all DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE GraceTime=$kill_wait State=UP
PartitionName=high $all DefaultTime=60 PriorityTier=10 PreemptMode=OFF State=UP
CONF
    } >"$dir/slurm.conf"
    # Slurm 22.05 reads it even where nothing of it is used.
    printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$dir/cgroup.conf"
}

start_munge() {
    [ "$auth" = munge ] || return 0
    head -c 128 /dev/urandom >"$dir/munge.key"
    chmod 600 "$dir/munge.key"
    setsid munged --foreground --force --num-threads=2 --key-file="$dir/munge.key" \
        --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" --seed-file="$dir/munge.seed" \
        --log-file="$dir/log/munged.log" </dev/null >"$dir/log/munged.out" 2>&1 &
    note munged $!
    until_true 5 munge -S "$dir/munge.socket" -n || fail "munged does not answer: $(tail -3 "$dir/log/munged.out")"
}

# The node's first process stays to collect orphans; when it is killed, so is all that is in there.
start_node() {
    local name=$1
    mkdir -p "$dir/spool.$name" "$dir/tmp.$name" # PMIx keeps files of a node in TmpFS
    rm -f "$dir/slurmd.$name.pid"
    # shellcheck disable=SC2016 # expanded in there
    setsid unshare --pid --fork --kill-child --mount-proc --uts --ipc bash -c '
        hostname "$1"
        export SLURM_CONF=$2/slurm.conf
        trap "kill -TERM \$child" TERM
        slurmd -D -N "$1" & child=$!
        while kill -0 $child 2>/dev/null; do wait $child; done' node "$name" "$dir" \
        </dev/null >"$dir/log/node.$name.out" 2>&1 &
    note "node.$name" $!
}

node_names() { for f in "$dir"/pid/node.*; do [ -e "$f" ] && echo "${f##*/node.}"; done; }
all_idle() { # and have told the controller so: before that, it only supposes it
    [ "$(scontrol -o show nodes 2>/dev/null | grep -v SlurmdStartTime=None | grep -c 'State=IDLE ')" = "$nodes" ]
}
settled() { gone slurmctld || all_idle; } # nobody answers for one that has ended

start() {
    [ "$(id -u)" = 0 ] || fail "start needs root (namespaces)"
    local tool
    for tool in slurmctld slurmd sbatch munged unshare; do
        command -v $tool >/dev/null || fail "$tool is missing: apt-get install --no-install-recommends $("$program" --packages)"
    done
    if [ -e "$dir" ]; then
        [ -e "$dir/slurm.conf" ] || fail "$dir exists and is none of mine"
        for tool in "$dir"/pid/*; do
            gone "${tool##*/}" || fail "it runs already in $dir; stop it first"
        done
        rm -rf "$dir"
    fi
    mkdir -p "$dir"/{pid,log,state}
    chmod 755 "$dir"
    configure
    export SLURM_CONF=$dir/slurm.conf
    start_munge
    setsid slurmctld -D -c </dev/null >"$dir/log/slurmctld.out" 2>&1 &
    note slurmctld $!
    local i
    for i in $(seq "$nodes"); do start_node "n$i"; done
    if ! until_true 20 settled || gone slurmctld; then
        sinfo -N >&2
        tail -n 3 "$dir"/log/*.out >&2
        "$program" stop --dir "$dir"
        fail "the nodes did not come up; see $dir/log"
    fi
    [ -z "$owner" ] || watch_owner </dev/null >/dev/null 2>&1 &
    environment
}

watch_owner() {
    trap '' TERM INT HUP
    while [ -n "$(begun "$owner")" ] && [ -e "$dir/pid" ]; do sleep 1; done
    [ ! -e "$dir/pid" ] || "$program" stop --dir "$dir"
}

end_process() { # NAME: asked, then killed
    local pid; pid=$(pid_of "$1") || return 0
    kill -TERM "$pid" 2>/dev/null
    until_true 5 gone "$1" && return
    kill -KILL "$pid" 2>/dev/null
    until_true 5 gone "$1"
}

kill_node() { # the first process in there dies with the one that made it, and all others with that
    local pid; pid=$(pid_of "node.$1") || return 0
    local inner; inner=$(inner_of "node.$1")
    kill -KILL "$pid" 2>/dev/null
    until_true 5 gone "node.$1"
    [ -z "$inner" ] || until_true 5 test ! -e "/proc/$inner"
}

stop() {
    [ -e "$dir/slurm.conf" ] || fail "nothing was started in $dir"
    export SLURM_CONF=$dir/slurm.conf
    local n
    if pid_of slurmctld >/dev/null; then timeout 3 scancel --quiet --state=RUNNING,PENDING --user=root 2>/dev/null; fi
    for n in $(node_names); do kill_node "$n"; done
    end_process slurmctld
    end_process munged
    rm -rf "$dir/pid"
}

case $verb in
start) start ;;
stop) stop ;;
env) environment ;;
restart)
    export SLURM_CONF=$dir/slurm.conf
    end_process slurmctld
    setsid slurmctld -D </dev/null >>"$dir/log/slurmctld.out" 2>&1 &
    note slurmctld $!
    until_true 10 scontrol ping
    ;;
status)
    export SLURM_CONF=$dir/slurm.conf
    for f in "$dir"/pid/*; do
        [ -e "$f" ] && echo "${f##*/} $(pid_of "${f##*/}" || echo gone)"
    done
    sinfo -N
    squeue
    ;;
kill-node) kill_node "$word" ;;
start-node) gone "node.$word" || fail "$word runs"; start_node "$word" ;;
stop-network | start-network)
    inner=$(inner_of "node.$word") || fail "$word does not run"
    signal=STOP; [ "$verb" = start-network ] && signal=CONT
    read -ra children <"/proc/$inner/task/$inner/children"
    for child in "${children[@]}"; do
        [ "$(cat "/proc/$child/comm")" = slurmd ] && kill -$signal "$child"
    done
    ;;
exec)
    inner=$(inner_of "node.$word") || fail "$word does not run"
    export SLURM_CONF=$dir/slurm.conf
    exec nsenter --target "$inner" --pid --mount --uts --ipc --wd="$PWD" -- "${rest[@]}"
    ;;
*) fail "unknown verb $verb; see --help" ;;
esac
