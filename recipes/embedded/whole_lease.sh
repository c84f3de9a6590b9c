#!/usr/bin/env bash
# Everything that one lease of a GPU can give, in order of value: bash whole_lease.sh OUT SECONDS [WORK]
#
#   OUT      what is to be kept: codec.tar, averaged-*, rows.npz, findings.tar, logs (each below 15 MB)
#   SECONDS  of the lease from now on; training takes what the other stages leave
#   WORK     scratch on the same machine
#
# The decoder is polished (the latents stay), the second edition trained and measured with it, put together as a folder,
# and the findings are run on that folder.  `state` in OUT names the stage.  Killed at any point, the same command goes on,
# also with only OUT left, but for the polish.  Settings by environment: POLISH (seconds, 100), MEASURE (240), FINDINGS
# (400), and those of `second_edition.sh`.
set -euo pipefail

out=$(realpath -m "$1") end=$(($(date +%s) + $2)) work=$(realpath -m "${3:-/tmp/lease}")
here=$(realpath "$(dirname "$0")")
shipped=$here/../../src/stepscope/models/embedded
polish=${POLISH:-100} measure=${MEASURE:-240} findings=${FINDINGS:-400}
setup=130  # drawing, encoding and compiling, before the first step of training
python=${PYTHON:-python}
mkdir -p "$out" "$work/results"
state() { echo "$(date +%T) $*" | tee -a "$out/state"; }
left() { echo $((end - $(date +%s))); }
export PYTHONUNBUFFERED=1 PYTHONPATH=$here/../../src${PYTHONPATH:+:$PYTHONPATH}

if [ -e "$out/codec.tar" ]; then
    tar -xf "$out/codec.tar" -C "$work"
else
    state "polish the decoder for $polish s"
    (cd "$here" && "$python" train.py codec --codec "$shipped/vae" --decoder-only --seconds "$polish" \
        --batch "${CODEC_BATCH:-128}" --clips "${CLIPS:-1500}" --check "${CHECK:-300}" --out "$work" --work "$work/codec" \
        ${DEVICE:+--device "$DEVICE"}) 2>&1 | tee "$out/codec.log"
    tar -cf "$out/codec.tar" -C "$work" vae
fi

training=$(($(left) - setup - measure - findings))
[ "$training" -gt 30 ] || training=30
state "train for $training s"
CODEC=$work/vae bash "$here/second_edition.sh" "$out" "$training" "$work/second"

state "put together"
(cd "$here" && "$python" assemble.py --edition embedded@2 --codec "$work/vae" --weights "$out/averaged" \
    --out "$work/embedded-2" ${LAYERS:+--layers "$LAYERS"})

budget=$(($(left) - 20))
state "findings for $budget s"
MODEL=$work/embedded-2 RESULTS=$work/results bash "$here/../findings/run.sh" "$work/runs" "$budget" 2>&1 |
    tee "$out/findings.log" || state "findings stopped"
tar -czf "$out/findings.tar" -C "$work" results
state "done"
