// the player, its scrubbers and the stills below it

function buildStage() {
  sized($("player"), $("player").parentElement.clientWidth);
  const stills = isPuzzle()
    ? [["first", "The puzzle"], ["overlay", "All frames at once, this step"], ["end", "All frames at once, last step"]]
    : [["first", "First frame"], ["final", "This frame at the last step"]];
  $("stills").style.setProperty("--stills", stills.length);
  $("stills").replaceChildren(...stills.map(([kind, caption]) =>
    el("figure", {}, el("canvas", { "data-still": kind, role: "img", "aria-label": caption }), el("figcaption", { text: caption }))));
  const each = $("stills").firstElementChild.clientWidth;
  for (const canvas of $("stills").querySelectorAll("canvas")) sized(canvas, each);
  drawWhole(still("first"), loaded.first);
  if (isPuzzle()) drawWhole(still("end"), overlay(loaded.sheets.at(-1)));
  $("step").max = trace().steps.length - 1;
  $("frame").max = trace().frames.length - 1;
}
const still = kind => $("stills").querySelector(`[data-still="${kind}"]`);

function updateStage() {
  const t = trace(), sigma = t.sigmas[step()];
  drawFrame($("player"), loaded.sheets[state.row], state.column);
  $("player").setAttribute("aria-label", `Clean estimate of step ${step()}, frame ${frame()}`);
  if (isPuzzle()) drawWhole(still("overlay"), overlay(loaded.sheets[state.row]));
  else drawFrame(still("final"), loaded.sheets.at(-1), state.column);
  scrubber("step", state.row, step(), `σ ${sigma.toFixed(2)}`);
  scrubber("frame", state.column, frame(), `of ${t.num_frames - 1}`);
  for (const name of ["step", "frame"]) $(`play-${name}`).setAttribute("aria-pressed", state.playing === name);
  if (!state.playing) $("announce").textContent = `Step ${step()}, sigma ${sigma.toFixed(2)}, frame ${frame()}`;
}
function scrubber(id, index, value, note) {
  const input = $(id);
  input.value = index;
  input.setAttribute("aria-valuetext", `${value}, ${note}`);
  input.style.setProperty("--fill", `${100 * index / Math.max(Number(input.max), 1)}%`);
  $(`${id}-value`).replaceChildren(String(value), el("small", { text: note }));
}

const TICK = { step: 260, frame: 110 }, HOLD = 700;
let timer = 0;
function play(what) {
  clearTimeout(timer);
  state.playing = state.playing === what ? null : what;
  if (state.playing) tick(true); else update();
}
function stop() { if (state.playing) play(state.playing); }
function tick(begin = false) {
  const count = state.playing === "step" ? trace().steps.length : trace().frames.length;
  const now = state.playing === "step" ? state.row : state.column;
  const next = begin && now < count - 1 ? now : (now + 1) % count;
  state.playing === "step" ? move(next, state.column) : move(state.row, next);
  timer = setTimeout(tick, next === count - 1 ? HOLD : TICK[state.playing]);
}
