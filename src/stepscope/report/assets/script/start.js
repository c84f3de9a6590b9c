// keys, address and the first drawing

const MOVES = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] };
function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest?.("select")) return;
  const turn = MOVES[event.key];
  if (turn) { stop(); move(state.row + turn[0], state.column + turn[1]); event.preventDefault(); }
  else if (event.key === " " && !event.target.closest?.("button, input")) { play("frame"); event.preventDefault(); }
}

async function choose(run) {
  stop();
  const [k, f] = [step(), frame()];
  state.run = run;
  await loadRun();
  build();
  move(nearest(trace().steps, k), nearest(trace().frames, f));
}
function build() {
  chosen = null;
  writeLead();
  buildStage();
  buildGrid();
  buildSwitch();
  buildPanels();
  writeWords();
  writeProvenance();
}
/* report.html#run=0&step=6&frame=8 opens there. */
function goToAddress() {
  const asked = new URLSearchParams(location.hash.slice(1)), number = name => Number(asked.get(name) ?? NaN);
  if (asked.has("axis") && AXES[asked.get("axis")]) { state.axis = asked.get("axis"); buildSwitch(); buildPanels(); }
  go(Number.isNaN(number("step")) ? step() : number("step"), Number.isNaN(number("frame")) ? frame() : number("frame"));
}
function go(k, f) { move(nearest(trace().steps, k), nearest(trace().frames, f)); }

function startEmpty() {
  $("headline").textContent = "This record holds no trace to look at.";
  for (const part of document.querySelectorAll(".bench, .measures, #facts")) part.hidden = true;
  writeProvenance();
  document.body.setAttribute("data-ready", "");
}

async function start() {
  if (!data.traces.length) return startEmpty();
  const asked = Number(new URLSearchParams(location.hash.slice(1)).get("run"));
  state.run = clamp(Number.isInteger(asked) ? asked : 0, 0, data.traces.length - 1);
  await loadRun();
  writeRuns();
  $("run").value = state.run;
  build();
  views.push(updateStage, updateGrid, () => cursors.forEach(cursor => cursor()));
  listenGrid();
  listenSwitch();
  for (const name of ["step", "frame"]) $(`play-${name}`).addEventListener("click", () => play(name));
  $("step").addEventListener("input", () => { stop(); move(Number($("step").value), state.column); });
  $("frame").addEventListener("input", () => { stop(); move(state.row, Number($("frame").value)); });
  document.addEventListener("keydown", onKey);
  goToAddress();
  window.addEventListener("hashchange", goToAddress);
  let width = window.innerWidth;
  window.addEventListener("resize", () => { if (window.innerWidth !== width) { width = window.innerWidth; build(); update(); } });
  document.body.setAttribute("data-ready", "");
}

window.stepscope = Object.freeze({
  state: () => data.traces.length ? { step: step(), frame: frame(), seed: trace().seed, branch: trace().branch }
    : { step: null, frame: null, seed: null, branch: null },
  go,
});
start();
