#!/usr/bin/env bash
# Trains and measures an edition in one go: bash edition.sh OUT SECONDS [WORK]
#
#   OUT      weights and rows, each file below 15 MB: averaged-*, last-*, progress.json, rows.npz, log.txt
#   SECONDS  of training; the whole run takes five to six minutes more
#   WORK     scratch on the same machine; what was done there is not done again
#
# The held-out puzzles and the training puzzles are drawn on the CPU while the transformer compiles; training writes its
# weights every two minutes, measuring its rows every 15 seconds.  Killed at any point, the same command goes on, also
# with only OUT left.  Settings by environment: EDITION (2: which mixture and cells), SESSION (seconds of training after
# which this call stops), PUZZLES, GPUS (that train together), BATCH (of each), RATE, COUNT, EVAL_BATCH, WORKERS, DEVICE,
# COMPILE (empty: none), START (a transformer) with its LAYERS, CODEC, PYTHON.
set -euo pipefail

out=$(realpath -m "$1") seconds=$2 work=$(realpath -m "${3:-/tmp/embedded-2}")
paths=$(realpath "$(dirname "$0")/../../src")
shipped=$paths/stepscope/models/embedded
codec=$(realpath -m "${CODEC:-$shipped/vae}") start=$(realpath -m "${START:-$shipped/transformer}")
IFS=: read -ra more <<<"${PYTHONPATH:-}"
for path in "${more[@]}"; do paths+=:$(realpath -m "$path"); done
cd "$(dirname "$0")"
export PYTHONPATH=$paths OMP_NUM_THREADS=${OMP_NUM_THREADS:-4} PYTHONUNBUFFERED=1
python=${PYTHON:-python}
device=(${DEVICE:+--device "$DEVICE"})
compile=(${COMPILE---compile})
layers=(${LAYERS:+--layers "$LAYERS"})
mkdir -p "$out" "$work/eval"
exec > >(tee -a "$out/log.txt") 2>&1
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
# What a killed run of this script has left behind must not train beside this one.
for file in "$work"/*.pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    ! grep -qsE 'train\.py|evaluate\.py' "/proc/$pid/cmdline" || { pkill -9 -P "$pid"; kill -9 "$pid"; }
done
run() { # NAME COMMAND…: in the background, its process known to the next call
    local name=$1
    shift
    "$@" &
    echo $! >"$work/$name.pid"
}
say() { echo "== $(date +%T) $*"; }

say "held-out puzzles are being drawn"
if [ ! -e "$work/eval/puzzles.json" ]; then
    run prepare nice -n 15 "$python" evaluate.py prepare --work "$work/eval" --edition "${EDITION:-2}" --count "${COUNT:-250}" \
        --workers "${WORKERS:-8}" "${device[@]}"
    drawing=$!
fi

say "training for $seconds s"
trainers=("$python")
[ "${GPUS:-1}" = 1 ] || trainers+=(-m torch.distributed.run --standalone --nproc-per-node "$GPUS" --)
run train "${trainers[@]}" train.py denoiser --out "$out" --work "$work" --codec "$codec" --start "$start" --edition "${EDITION:-2}" \
    --resume --puzzles "${PUZZLES:-250000}" --batch "${BATCH:-256}" --rate "${RATE:-0.6}" --save-every 120 \
    --seconds "${SESSION:-$seconds}" --total "$seconds" "${device[@]}" "${compile[@]}"
wait $!
[ -z "${drawing:-}" ] || wait "$drawing"
if ! "$python" -c 'import json, sys; p = json.load(open(sys.argv[1])); sys.exit(p["spent"] < p["total"])' \
    "$out/progress.json"; then
    say "stopped after a session of ${SESSION:-$seconds} s; the same command goes on"
    exit 0
fi

touch "$out/trained"
say "measuring"
run sample "$python" evaluate.py sample --work "$work/eval" --codec "$codec" --weights "$out/averaged" \
    --out "$out/rows.npz" --batch "${EVAL_BATCH:-250}" "${device[@]}" "${compile[@]}" "${layers[@]}"
wait $!
say "done"
