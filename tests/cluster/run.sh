#!/usr/bin/env bash
# One study by every engine, and the same bytes: study alone; shares in any order with workers killed; GNU parallel; Snakemake; a SLURM array with a
# preempted job and a killed node daemon. Uses the examples in examples/cluster as they are.
#   tests/cluster/run.sh [ECGS]          CARDIOGRAD: the program [target/release/cardiograd]; KILLS: workers to kill [20]; WORK: a folder to work in
#   GENERATOR=deepfake_ecg-1.1.2-py3-none-any.whl: on Pulse2pulse ECGs too; SOURCES=pulse2pulse: on these alone; ENGINES="shares slurm": by these alone
# Needs, as root: apt-get install slurmctld slurmd slurm-client munge parallel; and Python with venv for Snakemake. What is not there is said aloud and passed over.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export CARDIOGRAD=$(realpath "${CARDIOGRAD:-target/release/cardiograd}")
ecgs=${1:-400} kills=${KILLS:-20} work=$(realpath "${WORK:-$(mktemp -d)}")
cd "$work"
passed=() left=()

digests() { (cd "$1" && find . -type f | sort | xargs -d '\n' sha256sum); }
same() { # NAME FOLDER
  if diff <(digests "$source-whole") <(digests "$2") > "$2.diff"; then passed+=("$source: $1"); echo "same bytes: $source, $1"
  else echo "DIFFERENT: $source, $1"; head "$2.diff"; exit 1; fi
}
planned() { "$CARDIOGRAD" plan "${options[@]}" --task-minutes "${MINUTES:-0.1}" -o "$1" --quiet; }

by_shares() {
  local killed=0
  planned shares
  # Seven shares in a shuffled order, one of them shot at random moments.
  for share in $(seq 0 6 | shuf --random-source=<(yes)); do
    threads=$((share % 2 + 1))
    if [ "$share" = 3 ]; then
      for _ in $(seq "$kills"); do
        "$CARDIOGRAD" run shares --shard 3/7 --threads "$threads" --quiet & worker=$!
        sleep "0.$((RANDOM % 90 + 10))"; kill -9 $worker 2> /dev/null || true
        wait $worker 2> /dev/null || [ $? != 137 ] || killed=$((killed + 1))
      done
    fi
    "$CARDIOGRAD" run shares --shard "$share/7" --threads "$threads" --quiet
  done
  "$CARDIOGRAD" merge shares -o shares-out --quiet
  same "seven shuffled shares, $killed of $kills kills hit a worker" shares-out
}

by_parallel() {
  command -v parallel > /dev/null || { left+=("$source: parallel (not installed)"); return 0; }
  planned parallel
  "$root/examples/cluster/parallel.sh" parallel parallel-out 2 > /dev/null
  same "GNU parallel" parallel-out
}

by_snakemake() {
  local venv=$root/target/snakemake
  [ -x "$venv/bin/snakemake" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet snakemake; } || { left+=("$source: Snakemake (not installed)"); return 0; }
  planned snakemake
  "$venv/bin/snakemake" -s "$root/examples/cluster/Snakefile" --cores 2 --quiet all --config plan=snakemake out=snakemake-out > snakemake.log 2>&1 || { cat snakemake.log; exit 1; }
  same "Snakemake" snakemake-out
}

# A cluster of one node: munge, slurmctld, slurmd; a partition whose jobs are preempted by the other's.
cluster_up() {
  mkdir -p /run/munge slurm-state slurm-spool
  [ -f /etc/munge/munge.key ] || { dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none; }
  chown -R munge: /etc/munge /run/munge; chmod 400 /etc/munge/munge.key
  pgrep munged > /dev/null || { runuser -u munge -- munged; own_munge=1; }
  local host=$(hostname -s)
  cat > slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation=$work/slurm-state
SlurmdSpoolDir=$work/slurm-spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=bf_interval=1,sched_interval=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=1
RequeueExit=137
ReturnToService=2
SlurmdTimeout=20
MpiDefault=none
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=low Nodes=$host PriorityTier=1 Default=YES MaxTime=INFINITE State=UP
PartitionName=high Nodes=$host PriorityTier=10 PreemptMode=off MaxTime=INFINITE State=UP
CONF
  export SLURM_CONF=$work/slurm.conf
  slurmctld; slurmd
  for _ in $(seq 60); do sinfo -h -o %t 2> /dev/null | grep -q idle && return 0; sleep 1; done
  tail -5 slurmctld.log slurmd.log; return 1
}
cluster_down() {
  scancel --full -u root 2> /dev/null || true; pkill -x slurmd || true; pkill -x slurmctld || true
  [ -z "${own_munge:-}" ] || pkill -x munged || true
  for _ in $(seq 30); do pgrep -x "slurmd|slurmctld" > /dev/null || return 0; sleep 1; done
}

by_slurm() {
  { command -v slurmctld && command -v slurmd && command -v munged && [ "$(id -u)" = 0 ]; } > /dev/null || { left+=("$source: SLURM (not installed, or not root)"); return 0; }
  cluster_up || { left+=("$source: SLURM (does not start here)"); cluster_down; return 0; }
  trap cluster_down EXIT
  planned slurm
  local job high
  job=$(sbatch --parsable --array=0-3 --cpus-per-task=1 --mem=0 "$root/examples/cluster/study.slurm" slurm)
  # One with priority takes the whole node for a while: what runs is preempted and queued again.
  sleep 3; high=$(sbatch --parsable -p high --exclusive --mem=0 --wrap "sleep 3")
  for _ in $(seq 30); do squeue -h -j "$high" -o %T | grep -q RUNNING && break; sleep 1; done
  scontrol show job "$job" | grep -q "Restarts=[1-9]" || { echo "$source: nothing was preempted: the work was over too soon; ask for more ECGs"; exit 1; }
  # The node's daemon dies with what it runs, and comes back.
  sleep 6; pkill -9 slurmd || true; pkill -9 -f "$CARDIOGRAD run slurm" || true; sleep 2; slurmd
  for _ in $(seq 600); do squeue -h -j "$job" 2> /dev/null | grep -q . || break; sleep 1; done
  # What a lost node left is what --missing says.
  local missing=$("$CARDIOGRAD" status slurm --missing)
  [ -z "$missing" ] || { echo "once more: $missing"; sbatch --wait --array="$missing" --cpus-per-task=1 --mem=0 --wrap "$CARDIOGRAD run slurm --task \$SLURM_ARRAY_TASK_ID --threads 1 --quiet" > /dev/null; }
  "$CARDIOGRAD" merge slurm -o slurm-out --quiet
  same "SLURM array, a preempted job, a killed node daemon" slurm-out
  cluster_down; trap - EXIT
}

for source in ${SOURCES:-simulator ${GENERATOR:+pulse2pulse}}; do
  mkdir -p "$source"; cd "$source"
  options=(--ecgs "$ecgs" --targets pr,qrs,t_v5 --arch standardconv --epochs 2 --heatmap-ecgs 4 --perturb-ecgs 24 --iterations 40)
  [ "$source" = simulator ] || options+=(--source pulse2pulse --generator "$(realpath "$OLDPWD/$GENERATOR" 2> /dev/null || realpath "$GENERATOR")")
  begun=$(date +%s%N); "$CARDIOGRAD" study "${options[@]}" -o "$source-whole" --quiet; alone=$((($(date +%s%N) - begun) / 1000000))
  planned one; begun=$(date +%s%N); "$CARDIOGRAD" run one --quiet; "$CARDIOGRAD" merge one -o one-out --quiet
  echo "$source: study alone $alone ms, run and merge $((($(date +%s%N) - begun) / 1000000)) ms"
  same "one worker" one-out
  work=$PWD
  for engine in ${ENGINES:-shares parallel snakemake slurm}; do "by_$engine"; done
  cd ..
done
printf 'passed: %s\n' "${passed[@]}"
[ ${#left[@]} -eq 0 ] || { printf 'LEFT OUT: %s\n' "${left[@]}"; exit 77; }
