#!/usr/bin/env bash
# The behaviours of all eight families on 16 puzzles each, on two CPU cores: bash subset.sh RUNS
#
#   RUNS     runs, results and findings.md are kept there; the same command goes on where it was stopped
#
# 12 steps, about 3,300 model calls, latent read-out, no decoding.  Settings by environment: N (16 puzzles), STEPS (12),
# those of `run.sh`.
set -uo pipefail

runs=$(realpath -m "$1") here=$(realpath "$(dirname "$0")")
export DEVICE=cpu N=${N:-16} STEPS=${STEPS:-12} SEEDS=0 OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
ONLY="$(echo commitment-{two-goals,maze,find-shape,tic-tac-toe,size-pattern,rotate,bounce,occlusion})" \
    RESULTS=$runs/results PAGE=$runs/findings.md bash "$here/run.sh" "$runs" 7200
