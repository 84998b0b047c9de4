#!/bin/bash
# Trains on 4 machines with 2 ranks each under Slurm. Submit again after a time limit or a failure: the run continues from its last complete checkpoint, with whatever
# number of ranks the new job has.
#SBATCH --job-name=amari
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=amari-%j.log
set -euo pipefail

shared=${AMARI_SHARED:-$HOME/amari}      # seen by rank 0: checkpoints and results
mkdir -p "$shared"
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
export OMP_WAIT_POLICY=PASSIVE

# SIGTERM two minutes before the limit: every rank ends its step, rank 0 saves.
srun --mpi=pmix --kill-on-bad-exit=1 --cpu-bind=cores \
  amari train autoencoder --optimizer kfac --set grad-worker-fraction=0.5 --epochs 100 \
  --threads "$OMP_NUM_THREADS" --rank-timeout 2m \
  --checkpoint "$shared/checkpoint" --checkpoint-every 60s --resume-if-any \
  --out "$shared/out" --overwrite
