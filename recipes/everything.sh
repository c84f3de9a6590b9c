#!/usr/bin/env bash
# The second edition and all that is measured on it, within half an hour of two GPUs: bash everything.sh OUT SECONDS [WORK]
#
#   OUT      what is to be kept: averaged-*, rows.npz, frontier/, student/, findings.tar, logs (each file below 15 MB)
#   SECONDS  from now on; what is not done by then is cut, and what was cut is unbiased
#   WORK     scratch on the same machine
#
#   both GPUs    train            (two trainers, `embedded/company.py`)
#   the first    measure, then the frontier
#   the second   findings in seven processes, then the student if there is time
#
# `state` in OUT says what was done when.  Killed at any point, the same command goes on, also with only OUT left.  To go
# on from a checkpoint, put averaged-*, last-* and progress.json into OUT.  With GPUS=1 all stages share one.
# Settings by environment: GPUS (2), TRAIN (seconds in all, those of a checkpoint included; 620), STUDENT (its seconds of
# training, 240), PAIRS (its seconds of drawing pairs, 120), N, M, STEPS, CHUNK, COUNT, PUZZLES, BATCH, CHOICES (60
# validation puzzles a family), TOTAL (10,000 test puzzles), DEVICE, COMPILE (empty: none), PYTHON.
set -uo pipefail

end=$(($(date +%s) + $2))
out=$(realpath -m "$1") work=$(realpath -m "${3:-/tmp/everything}")
here=$(realpath "$(dirname "$0")")
python=${PYTHON:-python} gpus=${GPUS:-2} source=$here/../src
first=0 second=$((gpus - 1))
device=(${DEVICE:+--device "$DEVICE"})
compile=(${COMPILE---compile})
mkdir -p "$out/frontier" "$out/student" "$work/runs" "$work/results"
paths=$source:$here/embedded:$here/student
export PYTHONUNBUFFERED=1 PYTHONPATH=$paths${PYTHONPATH:+:$PYTHONPATH} OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
left() { echo $((end - $(date +%s))); }
state() { echo "$(date +%T) $(left) s left: $*" | tee -a "$out/state"; }
model=$work/embedded-2

put_together() {
    [ -e "$model/card.json" ] && return
    (cd "$here/embedded" && "$python" assemble.py --edition embedded@2 --codec "$source/stepscope/models/embedded/vae" \
        --weights "$out/averaged" --out "$model" ${LAYERS:+--layers "$LAYERS"}) >"$out/assemble.log" 2>&1 || return
    # A package whose `embedded` is the new model, so that a record's command holds anywhere.
    mkdir -p "$work/package"
    cp -r "$source/stepscope" "$work/package/"
    rm -r "$work/package/stepscope/models/embedded"
    cp -r "$model" "$work/package/stepscope/models/embedded"
}

find_out() { # NAME FINDINGS…
    local name=$1
    shift
    # No TF32: whoever runs a few of these again on a CPU should see the same.
    CUDA_VISIBLE_DEVICES=$second NVIDIA_TF32_OVERRIDE=0 OMP_NUM_THREADS=2 ONLY="$*" MODEL=embedded RESULTS=$work/results \
        PYTHONPATH=$work/package:$PYTHONPATH PAGE=$work/page-$name.md bash "$here/findings/run.sh" "$work/runs" $(($(left) - 30)) >"$out/findings-$name.log" 2>&1
    tar -cf "$out/findings.part-$name" -C "$work" results && mv "$out/findings.part-$name" "$out/findings.tar"
    state "findings $name: done"
}

of_the_first() {
    wait_for "$out/measured" || return
    cd "$here/frontier" || return
    local with=(--model "$model" --edition 2 --out "$out/frontier" "${device[@]}")
    CUDA_VISIBLE_DEVICES=$first "$python" frontier.py choose --count "${CHOICES:-60}" "${compile[@]}" "${with[@]}" \
        >"$out/choose.log" 2>&1
    state "frontier: chosen"
    CUDA_VISIBLE_DEVICES=$first "$python" frontier.py test --total "${TOTAL:-10000}" --limit $(($(left) - 60)) \
        "${compile[@]}" "${with[@]}" >"$out/test.log" 2>&1
    state "frontier: tested"
}

of_the_second() {
    find_out choices commitment-{two-goals,maze,bounce,rotate} &
    find_out switches commitment-{occlusion,find-shape,tic-tac-toe,size-pattern} &
    find_out frames noise-at-frame &
    find_out steps noise-at-step serial-depth &
    find_out plans wrong-plan &
    find_out swaps layer-swap &
    find_out layers layer-lens layer-energy layer-probe &
    wait
    [ "$(left)" -gt $((${PAIRS:-120} + ${STUDENT:-240} + 90)) ] || { state "student: no time left"; return; }
    cd "$here/student" || return
    local with=(--model "$model" --edition 2 "${compile[@]}" "${device[@]}")
    CUDA_VISIBLE_DEVICES=$second "$python" distil.py --out "$out/student" --work "$work/student" \
        --pair-seconds "${PAIRS:-120}" --seconds "${STUDENT:-240}" "${with[@]}" >"$out/distil.log" 2>&1
    state "student: distilled"
    CUDA_VISIBLE_DEVICES=$second "$python" compare.py sample --lora "$out/student/lora.safetensors" --count "${COUNT:-250}" \
        --out "$out/student/rows.npz" --limit $(($(left) - 40)) "${with[@]}" >"$out/compare.log" 2>&1
    state "student: compared"
}

wait_for() { # FILE: until it is there, or the second edition is no longer at work
    until [ -e "$1" ]; do
        kill -0 "$edition" 2>/dev/null || [ -e "$1" ] || return 1
        sleep 1
    done
}

state "the second edition: ${TRAIN:-620} s of training"
(
    edition() {
        CUDA_VISIBLE_DEVICES=$1 GPUS=$2 bash "$here/embedded/second_edition.sh" "$out" "${TRAIN:-620}" "$work/second" \
            >>"$out/second.log" 2>&1
    }
    [ "$gpus" = 2 ] && edition 0,1 2 || { state "one trainer"; edition 0 1; }
    touch "$out/measured"
    state "the second edition: measured"
) &
edition=$!
wait_for "$out/trained" || { state "no second edition"; exit 1; }
put_together || { state "cannot be put together"; exit 1; }
state "put together"
of_the_first &
of_the_second &
wait
state "done"
touch "$out/finished"
