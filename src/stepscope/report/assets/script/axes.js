// three clocks for one run: step, sigma and the observer's SNR

const AXES = { step: "step", sigma: "σ", snr: "SNR" };
const GAP = 0.07;                                  // the place left of a logarithmic axis for SNR = 0

/* Positions in [0, 1] of every step, and the ticks of the axis. */
function axis() {
  const t = trace(), last = t.num_steps - 1, sigmas = t.sigmas.slice(0, t.num_steps);
  if (state.axis === "sigma") return sigmaAxis(sigmas);
  if (state.axis === "snr") return snrAxis(sigmas, t.delta ?? 1);
  const stride = [1, 2, 5, 10, 20, 50].find(s => last / s <= 6) || 100;
  const ticks = Array.from({ length: Math.floor(last / stride) + 1 }, (_, i) => i * stride);
  return { place: k => last ? k / last : 0.5, ticks: ticks.map(k => [last ? k / last : 0.5, String(k)]), title: "denoising step" };
}
function sigmaAxis(sigmas) {
  const high = sigmas[0], low = sigmas.at(-1), span = high - low || 1, ticks = [];
  const stride = span > 0.5 ? 0.2 : span > 0.2 ? 0.1 : 0.05;
  for (let s = Math.floor(high / stride + 1e-9) * stride; s >= low - 1e-9; s -= stride) ticks.push([(high - s) / span, s.toFixed(stride < 0.1 ? 2 : 1)]);
  return { place: k => (high - sigmas[k]) / span, ticks, title: "noise level σ" };
}
function snrAxis(sigmas, delta) {
  const snr = sigmas.map(s => delta * (1 - s) / Math.max(s, 1e-9)), positive = snr.filter(v => v > 0);
  const low = Math.log10(Math.min(...positive)), high = Math.log10(Math.max(...positive)), span = high - low || 1;
  const place = v => v > 0 ? GAP + (1 - GAP) * (Math.log10(v) - low) / span : 0;
  const ticks = snr.some(v => v <= 0) ? [[0, "0"]] : [];
  for (let decade = Math.floor(low); decade <= high; decade += 1)
    for (const digit of span < 1.6 ? [1, 2, 5] : [1]) {
      const value = digit * 10 ** decade;
      if (Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9) ticks.push([place(value), String(Number(value.toPrecision(2)))]);
    }
  return { place: k => place(snr[k]), ticks, title: snrTitle(trace()) };
}

function snrTitle(t) {
  if (!t.delta) return "(1 − σ) / σ, logarithmic";
  return `SNR = ‖Δ‖ (1 − σ) / σ, logarithmic; Δ: ${t.solutions.length > 1 ? "between two solutions" : "from the still video to the solution"}`;
}

function buildSwitch() {
  $("axis").replaceChildren(...Object.entries(AXES).map(([key, label]) =>
    el("button", { type: "button", role: "radio", "data-axis": key, "aria-checked": String(state.axis === key), tabindex: state.axis === key ? 0 : -1, text: label })));
}
function listenSwitch() {
  const set = key => { state.axis = key; buildSwitch(); buildPanels(); update(); $("axis").querySelector(`[data-axis=${key}]`).focus(); };
  $("axis").addEventListener("click", event => { const key = event.target.dataset.axis; if (key) set(key); });
  $("axis").addEventListener("keydown", event => {
    const turn = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!turn) return;
    const keys = Object.keys(AXES);
    set(keys[(keys.indexOf(state.axis) + turn + keys.length) % keys.length]);
    event.preventDefault();
    event.stopPropagation();
  });
}
