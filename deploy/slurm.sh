#!/bin/bash
# A study on Slurm: sbatch deploy/slurm.sh STUDY STORE. Where the documents are: docs/clusters.md.
#
# Run here: this script on one host with stand-ins for Slurm's srun and scontrol, training on a core
# (tests/cluster/test_deploy.py). Not run: under Slurm itself, on several nodes, with GPUs.
#
#SBATCH --job-name=mfscale
#SBATCH --nodes=2                 # yours, from here on
#SBATCH --exclusive               # Ray takes a whole node, and at its end stops all Ray of yours there
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --requeue                 # what was cut off goes on from its checkpoints
set -euo pipefail

study=${1:?usage: sbatch deploy/slurm.sh STUDY STORE}
store=${2:?usage: sbatch deploy/slurm.sh STUDY STORE}   # a folder that all nodes see, or s3://…

# One token a job, in a file of yours that the nodes see; never on a command line.
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
export RAY_AUTH_TOKEN_PATH=$HOME/.ray/mfscale-$SLURM_JOB_ID
trap 'rm -f "$RAY_AUTH_TOKEN_PATH"' EXIT
mkdir -p "$HOME/.ray"
(umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
gpus=${SLURM_GPUS_ON_NODE:-0}
srun --kill-on-bad-exit=1 ray symmetric-run \
  --address "$head:$((20000 + SLURM_JOB_ID % 10000))" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$gpus" -- \
  mfscale run "$study" --store "$store" --ray-address auto \
  --cpus $((SLURM_JOB_NUM_NODES * SLURM_CPUS_PER_TASK)) --gpus $((SLURM_JOB_NUM_NODES * gpus))
