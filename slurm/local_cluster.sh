#!/usr/bin/env bash
# A real SLURM on this machine, for trying things and for tests: munge, slurmctld and slurmd with two fake GPUs.
#
#   eval "$(bash slurm/local_cluster.sh start [folder])"     start it (or find it running), and point this shell at it
#   bash slurm/local_cluster.sh restart-controller [folder]  kill slurmctld and start it again, as a crash does
#   bash slurm/local_cluster.sh stop [folder]                cancel its jobs, stop its daemons, remove the folder
#   bash slurm/local_cluster.sh install                      the Debian packages (as root; tried on 12, written for 13)
#
# Everything it writes is in the folder (default /tmp/its-slurm-<uid>): any number of them live side by side, and only
# processes that one started are stopped. Before `start`:
#   ITS_CLUSTER_CPUS=8  ITS_CLUSTER_GPUS=2  ITS_CLUSTER_EXTRA=$'MaxArraySize=4\n...' (further lines of slurm.conf)
#   ITS_CLUSTER_OWNER=<pid>   stop when this process is gone, however it ended
#   ITS_CLUSTER_ACCOUNTING=1  with slurmdbd and MariaDB (packages slurmdbd mariadb-server; `install` brings them too)
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
FOLDER="$(realpath -m "${2:-/tmp/its-slurm-$(id -u)}")"
CONF="$FOLDER/slurm.conf"
HOST="$(hostname -s)"
ACCOUNTING="${ITS_CLUSTER_ACCOUNTING:-}"

say() { echo "local_cluster: $*" >&2; }
die() { say "$*"; exit 1; }

alive() {  # <daemon>: whether the process that we started as <daemon> lives; a pid that was reused has another name
  local pid
  pid="$(cat "$FOLDER/$1.pid" 2>/dev/null)" && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]
}

launch() {  # <daemon> <arguments>: in the background, in a session of its own, its pid on disk
  local daemon="$1"; shift
  SLURM_CONF="$CONF" setsid "$daemon" "$@" >>"$FOLDER/$daemon.out" 2>&1 </dev/null &
  echo $! > "$FOLDER/$daemon.pid"
}

await() {  # <seconds> <what> <command>
  local until=$((SECONDS + $1)) what="$2"; shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || { tail -n 5 "$FOLDER"/*.out "$FOLDER"/*.log >&2 || true; die "$what did not come up"; }
    sleep 0.2
  done
}

end() {  # <daemon> [signal]: and wait until it is gone, with the helper processes that slurmctld keeps
  alive "$1" || return 0
  local pid helpers
  pid="$(cat "$FOLDER/$1.pid")"
  helpers="$(cat "/proc/$pid/task/$pid/children" 2>/dev/null || true)"
  kill "-${2:-TERM}" "$pid"
  for _ in $(seq 50); do alive "$1" || break; sleep 0.1; done
  # shellcheck disable=SC2086
  kill -KILL "$pid" $helpers 2>/dev/null || true
}

free_port() {
  local port
  for port in $(shuf -i 20000-29999 -n 50); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
  die "no free port"
}

# 22.05 (Debian 12) finds its cgroups by itself and refuses CgroupPlugin=disabled; 24.11 (Debian 13) needs it.
cgroup_conf() {
  local version
  version="$(slurmctld -V | sed 's/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1\2/')"
  if [ "$version" -ge 2405 ]; then echo "CgroupPlugin=disabled" > "$FOLDER/cgroup.conf"; fi
}

configure() {
  local gpus="${ITS_CLUSTER_GPUS:-2}" gres="" n
  if [ "$gpus" -gt 0 ]; then
    for n in $(seq 0 $((gpus - 1))); do mknod "$FOLDER/gpu$n" c 1 3; done    # /dev/null under another name
    echo "NodeName=$HOST Name=gpu File=$FOLDER/gpu[0-$((gpus - 1))]" > "$FOLDER/gres.conf"
    gres="Gres=gpu:$gpus"
  fi
  cgroup_conf
  cat > "$CONF" <<CONFIG
ClusterName=its
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$(socket)
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldLogFile=$FOLDER/slurmctld.log
SlurmdLogFile=$FOLDER/slurmd.log
SlurmctldPidFile=$FOLDER/slurmctld.own.pid
SlurmdPidFile=$FOLDER/slurmd.own.pid
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=1,sched_interval=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
KillWait=5
GresTypes=gpu
${ITS_CLUSTER_EXTRA:-}
$([ -z "$ACCOUNTING" ] || printf '%s\n' AccountingStorageType=accounting_storage/slurmdbd \
   AccountingStorageHost=127.0.0.1 "AccountingStoragePort=$DBD_PORT")
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=${ITS_CLUSTER_CPUS:-8} RealMemory=4096 $gres State=UNKNOWN
PartitionName=debug Nodes=$HOST Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes=$HOST PriorityTier=10 PreemptMode=OFF
CONFIG
}

# slurmdbd 22.05 talks only through munge's usual socket, so with accounting that is the one that is used.
socket() { [ -n "$ACCOUNTING" ] && echo /run/munge/munge.socket.2 || echo "$FOLDER/munge.socket"; }

start_munge() {
  head -c 1024 /dev/urandom > "$FOLDER/munge.key"
  chmod 400 "$FOLDER/munge.key"
  if [ -n "$ACCOUNTING" ]; then
    [ ! -S "$(socket)" ] || die "a munge of this machine is at $(socket) already; accounting needs that place"
    mkdir -p "$(dirname "$(socket)")"
  fi
  launch munged --foreground --force --socket="$(socket)" --key-file="$FOLDER/munge.key" \
    --pid-file="$FOLDER/munged.own.pid" --log-file="$FOLDER/munged.log" --seed-file="$FOLDER/munged.seed"
  await 10 munged munge -n --socket="$(socket)"
}

start_accounting() {
  local database="$FOLDER/mariadb"
  mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$database" >"$FOLDER/mariadb.out" 2>&1
  launch mariadbd --no-defaults --user="$(id -un)" --datadir="$database" --socket="$FOLDER/mariadb.socket" \
    --port="$DB_PORT" --bind-address=127.0.0.1 --innodb-buffer-pool-size=64M
  await 30 mariadbd mariadb --no-defaults --socket="$FOLDER/mariadb.socket" -e 'select 1'
  mariadb --no-defaults --socket="$FOLDER/mariadb.socket" \
    -e "create user its@'127.0.0.1' identified by 'its'; grant all on *.* to its@'127.0.0.1'"
  (umask 077; cat > "$FOLDER/slurmdbd.conf") <<CONFIG
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$DBD_PORT
SlurmUser=$(id -un)
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$DB_PORT
StorageUser=its
StoragePass=its
LogFile=$FOLDER/slurmdbd.log
PidFile=$FOLDER/slurmdbd.own.pid
CONFIG
  launch slurmdbd -D
  await 30 slurmdbd bash -c "exec 3<>/dev/tcp/127.0.0.1/$DBD_PORT"
  SLURM_CONF="$CONF" sacctmgr -i add cluster its >>"$FOLDER/slurmdbd.out" 2>&1 || true
}

outlive() {  # <pid>: stop this cluster when that process is gone
  setsid bash -c 'while [ -d "/proc/$1" ] && [ -e "$3/slurm.conf" ]; do sleep 1; done; exec bash "$2" stop "$3"' - \
    "$1" "$(realpath "${BASH_SOURCE[0]}")" "$FOLDER" >/dev/null 2>&1 </dev/null &
}

ready() { [ "$(SLURM_CONF="$CONF" timeout 5 sinfo -h -p debug -o %T 2>/dev/null)" = idle ]; }

installed() {
  local program
  for program in slurmctld slurmd sbatch munged ${ACCOUNTING:+slurmdbd mariadbd}; do
    command -v "$program" >/dev/null || return 1
  done
}

start() {
  installed || die "packages are missing: bash slurm/local_cluster.sh install"
  if alive slurmctld && alive slurmd && alive munged; then
    say "it is running already"
  else
    stop
    trap '[ $? = 0 ] || stop' EXIT      # what did come up
    mkdir -p "$FOLDER"/{state,spool}
    chmod 755 "$FOLDER"
    DB_PORT="$(free_port)"; DBD_PORT="$(free_port)"
    configure
    start_munge
    [ -z "$ACCOUNTING" ] || start_accounting
    launch slurmctld -D -c
    launch slurmd -D
    await 60 "the node" ready
    [ -z "${ITS_CLUSTER_OWNER:-}" ] || outlive "$ITS_CLUSTER_OWNER"
    say "$(sinfo_line)"
  fi
  echo "export SLURM_CONF='$CONF'"
}

sinfo_line() { SLURM_CONF="$CONF" sinfo -h -p debug -o "%v: %c CPUs, %G, $FOLDER"; }

stop() {
  if alive slurmctld; then SLURM_CONF="$CONF" timeout 10 scancel --full -u "$(id -un)" 2>/dev/null || true; fi
  if alive slurmd; then
    local until=$((SECONDS + 15))
    while [ "$SECONDS" -lt "$until" ] && steps; do sleep 0.2; done
  fi
  end slurmctld; end slurmd; end slurmdbd; end mariadbd; end munged
  case "$FOLDER" in /|"$HOME") die "refusing to remove $FOLDER" ;; esac
  [ ! -e "$CONF" ] && [ ! -e "$FOLDER/munge.key" ] || rm -rf "$FOLDER"
}

steps() { [ -n "$(SLURM_CONF="$CONF" timeout 5 squeue -h 2>/dev/null)" ]; }

quietly() {  # <command>: what it says only if it has failed three times, as a package server does now and then
  local said pause
  for pause in 5 20 0; do
    said="$("$@" 2>&1)" && return
    sleep "$pause"
  done
  tail -n 30 <<< "$said" >&2
  die "failed: $*"
}

install() {
  installed && return
  command -v apt-get >/dev/null || die "this is no Debian; install slurmctld, slurmd, its client programs and munge"
  [ "$(id -u)" = 0 ] || die "installing packages needs root"
  local packages=(slurmctld slurmd slurm-client munge)
  [ -z "$ACCOUNTING" ] || packages+=(slurmdbd mariadb-server)
  say "installing ${packages[*]}"
  # The packages' own services stay off: policy-rc.d answers 101 while they are installed.
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
    trap "rm -f $policy" EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update
  quietly apt-get install -y --no-install-recommends "${packages[@]}"
  installed || die "the packages are there, and their programs are not on $PATH"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  restart-controller)
    alive slurmctld || die "there is no slurmctld of $FOLDER"
    end slurmctld KILL
    launch slurmctld -D
    await 60 slurmctld env SLURM_CONF="$CONF" scontrol ping ;;
  install) install ;;
  *) sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
