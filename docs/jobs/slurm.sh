#!/bin/bash
# Trains on 4 machines with 2 ranks each under Slurm. Submit again after a time limit or a failure: the run continues from its last complete
# checkpoint. The number of ranks may change.
#SBATCH --job-name=amari
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=2
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=amari-%j.log
set -euo pipefail

shared=${AMARI_SHARED:-$HOME/amari}      # checkpoints and results; rank 0 needs access
mkdir -p "$shared"
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}
export OMP_WAIT_POLICY=PASSIVE

# SIGTERM comes two minutes before the time limit: every rank ends its step, and rank 0 writes a checkpoint.
srun --mpi=pmix --kill-on-bad-exit=1 --cpu-bind=cores \
  amari train autoencoder --optimizer kfac --set grad-worker-fraction=0.5 --epochs 100 \
  --threads "$OMP_NUM_THREADS" --rank-timeout 2m \
  --checkpoint "$shared/checkpoint" --checkpoint-every 60s --resume-if-any \
  --out "$shared/out" --overwrite
