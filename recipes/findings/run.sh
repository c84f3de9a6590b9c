#!/usr/bin/env bash
# The findings of commitment, steps against frames, and layers, in order of value: bash run.sh RUNS SECONDS
#
#   RUNS     one folder a finding; the same command goes on where it was stopped, puzzle by puzzle
#   SECONDS  after which nothing new is begun, and what is running is stopped; what is finished is packed all the same
#
# Settings by environment: MODEL (embedded), DEVICE (cuda), N (512 puzzles) and M (256, for layers), STEPS (20),
# CHUNK (rows in a model call), SEEDS (of the noise, for all), ONLY (names of some findings, to spread them over processes),
# RESULTS (../../results), PAGE (../../docs/findings.md), PYTHON.  `subset.sh` is a small version for a laptop.
# Model calls behind each line are those of N = 512 and M = 256 with 20 steps and guidance 1, as `--dry-run` counts them.
# Puzzles begin at seed 12: the graphics of some families were tuned on those before.  Two families hold fewer than 512
# puzzles; theirs are run with several seeds of the noise, and an interval is over puzzles.
set -uo pipefail

runs=$(realpath -m "$1") end=$(($(date +%s) + $2))
cd "$(dirname "$0")"
python=${PYTHON:-python} results=$(realpath -m "${RESULTS:-../../results}")
n=${N:-512} m=${M:-256}
usual=(--device "${DEVICE:-cuda}" --steps "${STEPS:-20}" --first-sample 12 ${CHUNK:+--chunk "$CHUNK"} ${SEEDS:+--seeds $SEEDS})
most() { echo $(($1 < $2 ? $1 : $2)); }
mkdir -p "$runs"

find_out() { # NAME EXPERIMENT TASK PUZZLES OPTIONS…
    local name=$1 experiment=$2 task=$3 count=$4 left=$((end - $(date +%s)))
    shift 4
    [[ -z ${ONLY:-} || " $ONLY " == *" $name "* ]] || return 0
    [ "$left" -gt 5 ] || { echo "== $name: no time left"; return; }
    echo "== $(date +%T) $name"
    timeout "$left" "$python" -m stepscope run "$experiment" "${MODEL:-embedded}" --task "$task" --samples "$count" \
        "${usual[@]}" "$@" --out "$runs/$name" </dev/null || { echo "== $name: stopped or refused"; return; }
    "$python" pack.py "$runs/$name" --results "$results"
}

# Behaviours, one family after the other
find_out commitment-two-goals commitment maze-two-goals "$n"                                     #  10,240 calls
find_out commitment-maze commitment maze "$n" --dial size=9 --dial 'length=[20,35]'              #  10,240
find_out commitment-occlusion commitment occlusion "$n"                                          #  61,440: two switches
find_out commitment-bounce commitment bounce "$n"                                                #  10,240
find_out commitment-rotate commitment rotate "$(most "$n" 94)" --seeds ${SEEDS:-0 1 2 3 4 5}               #  11,280
find_out commitment-size-pattern commitment size-pattern "$n" --dial answers=2                   #  10,240
find_out commitment-tic-tac-toe commitment tic-tac-toe "$(most "$n" 193)" --dial wins=2 --seeds ${SEEDS:-0 1 2}  #  28,830: one switch where the other side could win
find_out commitment-find-shape commitment find-shape "$n"                                        #  35,840: one switch
# Steps against frames
find_out noise-at-frame noise-at-frame maze-two-goals "$n" --option 'steps=[2,6,10]' --decode false  # 238,080
find_out noise-at-step noise-at-step maze-two-goals "$n" --at 0:20:2 --decode false              #  76,800
find_out wrong-plan wrong-plan maze-two-goals "$n" --at 0:20:4                                   # 102,400
find_out serial-depth serial-depth bounce "$n" --counts '[1,4]' --decode false                   #  25,600
# Layers
find_out layer-swap layer-swap find-shape "$m"                                                   # 102,400
find_out layer-lens layer-lens maze "$m"                                                         #   5,440
find_out layer-energy layer-energy maze "$m"                                                     #   5,120
find_out layer-probe layer-probe maze-two-goals "$m"                                             #   5,120

"$python" report.py --results "$results" --out "$(realpath -m "${PAGE:-$results/findings.md}")"
"$python" - "$results" <<'PRINT'
import json, pathlib, sys

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    told = json.loads(path.read_text())
    if not isinstance(told, dict) or told.get("schema") != "stepscope.packed/1":
        continue
    for claim in told["claims"]:
        if claim["value"] is not None:
            low, high = claim["ci95"] or (float("nan"), float("nan"))
            print(f"{path.stem:26} {claim['id']:29} {claim['value']:8.3f} [{low:.3f}, {high:.3f}] n {claim['n']:4} {claim['verdict']}")
PRINT
