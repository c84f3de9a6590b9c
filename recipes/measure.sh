#!/usr/bin/env bash
# Everything that is measured on the bundled model with a GPU, in stages that may share it: bash measure.sh OUT SECONDS [WORK]
#
#   OUT      what is to be kept: findings.tar, runs.tgz, stock.tar, depth.tar, frontier/, student/, logs (each file below 15 MB)
#   SECONDS  from now on; what is not done by then is cut, and what was cut is unbiased
#   WORK     scratch on the same machine
#
#   findings  behaviours, steps against frames, layers: seven processes         about 700 s of an H100
#   stock     the same folder in stock diffusers, five cells, fifteen processes  about 350 s of 16 CPU cores
#   depth     a model of fewer layers, trained and measured                      about 450 s
#   frontier  strategies, chosen on validation puzzles, on 10,000 others         about 500 s
#   student   distilled and compared                                             about 600 s
#
# `state` in OUT says what was done when.  The same command goes on where it was killed; findings and the check in stock
# diffusers need WORK for that.  Settings by environment: STAGES (all of them, by name; they run side by side), N, M, STEPS,
# CHUNK (of findings), STOCK (1,000 puzzles a cell), DEPTH (layers that stay, "0 2 5 7"), DEPTH_SECONDS (300), COUNT (250),
# CHOICES (60 validation puzzles a family), TOTAL (10,000 test puzzles), PAIRS and STUDENT (seconds: 120, 240), DEVICE,
# COMPILE (empty: none), PYTHON.
set -uo pipefail

end=$(($(date +%s) + $2))
out=$(realpath -m "$1") work=$(realpath -m "${3:-/tmp/measure}")
here=$(realpath "$(dirname "$0")")
python=${PYTHON:-python} source=$here/../src
model=$source/stepscope/models/embedded
device=(${DEVICE:+--device "$DEVICE"})
compile=(${COMPILE---compile})
mkdir -p "$out/frontier" "$out/student" "$work/runs" "$work/results"
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=${OMP_NUM_THREADS:-4}
elsewhere=${PYTHONPATH:-}
export PYTHONPATH=$source:$here/embedded:$here/student${elsewhere:+:$elsewhere}
left() { echo $((end - $(date +%s))); }
state() { echo "$(date +%T) $(left) s left: $*" | tee -a "$out/state"; }

find_out() { # NAME FINDINGS…
    local name=$1
    shift
    # No TF32: whoever runs a few of these again on a CPU should see the same.
    NVIDIA_TF32_OVERRIDE=0 OMP_NUM_THREADS=2 ONLY="$*" MODEL=embedded RESULTS=$work/results PAGE=$work/page-$name.md \
        bash "$here/findings/run.sh" "$work/runs" $(($(left) - 30)) >"$out/findings-$name.log" 2>&1
    tar -cf "$out/findings.part-$name" -C "$work" results && mv "$out/findings.part-$name" "$out/findings.tar"
    # What the gallery chooses its cases from; units stay behind, they are large.
    tar -czf "$out/runs.part-$name" -C "$work" --exclude=units --exclude='*.png' --exclude=report.html runs
    mv "$out/runs.part-$name" "$out/runs.tgz"
    state "findings $name: done"
}

findings() {
    find_out choices commitment-{two-goals,maze,bounce,rotate} &
    find_out switches commitment-{occlusion,find-shape,tic-tac-toe,size-pattern} &
    find_out frames noise-at-frame &
    find_out steps noise-at-step serial-depth &
    find_out plans wrong-plan &
    find_out swaps layer-swap &
    find_out layers layer-lens layer-energy layer-probe &
    wait
}

stock() {
    cd "$here/embedded" || return
    local cells=(maze-7 two-9 two-11 maze-11-longer find-4-other) cell part drawn=() sampled=() scored=()
    export OMP_NUM_THREADS=1
    for cell in "${cells[@]}"; do
        "$python" stock_check.py draw --work "$work/stock" --cell "$cell" --count "${STOCK:-1000}" &
        drawn+=($!)
    done
    wait "${drawn[@]}"
    for part in 0 1 2; do
        for cell in "${cells[@]}"; do
            PYTHONPATH=$elsewhere timeout -k 2 $(($(left) - 60)) "$python" stock_check.py sample --work "$work/stock" \
                --cell "$cell" --model "$model" --device "${DEVICE:-cuda}" --part $part --parts 3 &
            sampled+=($!)
        done
    done
    wait "${sampled[@]}"
    for cell in "${cells[@]}"; do
        "$python" stock_check.py score --work "$work/stock" --cell "$cell" &
        scored+=($!)
    done
    wait "${scored[@]}"
    (cd "$work/stock" && tar -cf "$out/stock.tar" ./*-score.json)
    state "stock: $(cd "$work/stock" && grep -ho '"n": [0-9]*' ./*-score.json | tr '\n' ' ')"
}

depth() {
    cd "$here/embedded" || return
    local kept=(${DEPTH:-0 2 5 7})
    "$python" shallower.py --model "$model" --layers "${kept[@]}" --out "$work/shallow" || return
    mkdir -p "$out/depth"
    CODEC=$model/vae START=$work/shallow LAYERS=${#kept[@]} EDITION=1 PUZZLES=${PUZZLES:-150000} COUNT=${COUNT:-250} RATE=1 \
        PYTHONPATH=$elsewhere bash edition.sh "$out/depth" "${DEPTH_SECONDS:-300}" "$work/depth"
    tar -cf "$out/depth.tar" -C "$out" depth
    state "depth: ${#kept[@]} layers measured"
}

frontier() {
    cd "$here/frontier" || return
    local with=(--edition 2 --out "$out/frontier" "${device[@]}" "${compile[@]}")
    "$python" frontier.py choose --count "${CHOICES:-60}" "${with[@]}" >"$out/choose.log" 2>&1
    state "frontier: chosen"
    "$python" frontier.py test --total "${TOTAL:-10000}" --limit $(($(left) - 60)) "${with[@]}" >"$out/test.log" 2>&1
    state "frontier: tested"
}

student() {
    cd "$here/student" || return
    local with=(--edition 2 "${compile[@]}" "${device[@]}")
    "$python" distil.py --out "$out/student" --work "$work/student" --pair-seconds "${PAIRS:-120}" \
        --seconds "${STUDENT:-240}" "${with[@]}" >"$out/distil.log" 2>&1
    state "student: distilled"
    "$python" compare.py sample --lora "$out/student/lora.safetensors" --count "${COUNT:-250}" --out "$out/student/rows.npz" \
        --limit $(($(left) - 40)) "${with[@]}" >"$out/compare.log" 2>&1
    state "student: compared"
}

chosen=${STAGES:-findings stock depth frontier student}
state "$chosen"
for stage in $chosen; do
    ("$stage" >"$out/$stage.log" 2>&1; tail -n 1 "$out/state") &
done
wait
state "done"
touch "$out/finished"
