#!/bin/bash
# One training over the GPUs of several machines, by Slurm:
#   sbatch docker/slurm.sh configs/paper.py runs/paper
# Given again, after a crash, a time limit or an empty queue, it goes on from the last checkpoint.
#
# The work folder must lie on a file system that all nodes share: every process reads the faces and the checkpoints there,
# and the first one writes. Eight GPUs in all, for a batch of 32: they must divide it, and each takes four faces.
#SBATCH --job-name=depthjax
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
# One task a GPU, which jax picks by the task's local number: so every task must see all GPUs of its node. That is
# --gpus-per-node; with --gpus-per-task a task sees one, and looks for another.
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
# Two minutes before the limit every task is sent SIGTERM: training ends its dispatch, saves, and exits with 143.
#SBATCH --signal=TERM@120
set -euo pipefail
config=${1:?which config, such as configs/paper.py} workdir=${2:?which work folder, on a shared file system}
run=(python launch.py --config "$config" --workdir "$workdir")

# What comes before and after training is one process's work.
srun --nodes=1 --ntasks=1 "${run[@]}" --stages=prepare
# jax finds the first node, the number of tasks and each task's own in Slurm's variables. All tasks end with the first
# that dies, each with a line.
srun --kill-on-bad-exit=0 "${run[@]}" --stages=train --config.distributed.coordinator=auto
srun --nodes=1 --ntasks=1 "${run[@]}" --stages=baselines,evolve,sample,evaluate,report
