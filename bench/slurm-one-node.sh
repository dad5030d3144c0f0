#!/bin/bash
# bash bench/slurm-one-node.sh IMAGES: scores a folder by a job array on a Slurm of one node, cancels a task in its work, submits the array again,
# and compares with one process. As root, in a checkout that is built, with: apt-get install slurmctld slurmd slurm-client munge.
# The daemons run on loopback, without cgroups and without systemd, and are stopped at the end.
set -eu
images=$(realpath "$1")
S=$(mktemp -d -t slurm-XXXXXX); H=$(hostname -s)
mkdir -p "$S/state" "$S/spool" "$S/munge"; chmod 755 "$S"; chmod 711 "$S/munge"
(umask 077; head -c 1024 /dev/urandom > "$S/munge/key")
cat > "$S/slurm.conf" <<C
ClusterName=one
SlurmctldHost=$H(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$S/munge/socket
CredType=cred/munge
StateSaveLocation=$S/state
SlurmdSpoolDir=$S/spool
SlurmctldPidFile=$S/slurmctld.pid
SlurmdPidFile=$S/slurmd.pid
SlurmctldLogFile=$S/slurmctld.log
SlurmdLogFile=$S/slurmd.log
SlurmctldPort=46817
SlurmdPort=46818
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=30
MailProg=/bin/true
NodeName=$H NodeAddr=127.0.0.1 CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C
export SLURM_CONF=$S/slurm.conf
finish() { scontrol shutdown || true; sleep 2; kill "$(cat "$S/munge/pid")" || true; }
trap finish EXIT
munged --force --key-file="$S/munge/key" --socket="$S/munge/socket" --pid-file="$S/munge/pid" --log-file="$S/munge/log" --seed-file="$S/munge/seed"
slurmctld -c; sleep 2; slurmd; sleep 2; sinfo --version; sinfo
node dist/score.js "$images" --csv "$S/plain.csv" --quiet
node dist/score.js "$images" --out "$S/run" --shard-size 4 --plan-only
submit() { sbatch --parsable --array=0-3 --requeue --chdir="$PWD" --output="$S/%A_%a.log" --wrap 'node dist/score.js --out '"$S"'/run --shard auto'; }
idle() { while squeue --noheader | grep -q .; do sleep 1; done; }
first=$(submit); echo "array $first"
while ! ls "$S"/run/out/000/* > /dev/null 2>&1; do sleep 0.2; done
scancel --signal=KILL "${first}_0" || true   # as a crash would
idle
node dist/status.js "$S/run" || echo "shards are missing: status $?"
second=$(submit); echo "array $second"; idle
grep -h '^plan' "$S/$second"_*.log
node dist/merge.js "$S/run" --csv "$S/merged.csv"
cmp "$S/plain.csv" "$S/merged.csv" && echo "equal to one process, byte for byte"
