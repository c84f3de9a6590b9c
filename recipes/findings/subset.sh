#!/usr/bin/env bash
# The behaviours of all eight families on 16 puzzles each, on two CPU cores: bash subset.sh RUNS
#
#   RUNS     runs, results and findings.md are kept there; the same command goes on where it was stopped
#
# About 5,400 model calls, latent read-out, no decoding.  Settings by environment: N (16 puzzles), those of `run.sh`.
set -uo pipefail

runs=$(realpath -m "$1") here=$(realpath "$(dirname "$0")")
export DEVICE=cpu N=${N:-16} SEEDS=0 OMP_NUM_THREADS=1 RESULTS=$runs/results
half() { # NAMES: one process of one thread is more than half as fast as one of two
    ONLY="$*" PAGE=$runs/page-$1.md bash "$here/run.sh" "$runs" 7200
}
half commitment-{occlusion,two-goals,maze} &
half commitment-{find-shape,tic-tac-toe,rotate,size-pattern,bounce} &
wait
"${PYTHON:-python}" "$here/report.py" --results "$RESULTS" --out "$runs/findings.md"
