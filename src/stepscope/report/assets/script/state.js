// one state {run, row, column, axis}; everything else on the page is a view of it

const data = JSON.parse(document.getElementById("data").textContent);
const state = { run: 0, row: 0, column: 0, axis: "step", playing: null };
const views = [];                                  // functions called after every change of step or frame

const trace = () => data.traces[state.run];
const step = () => trace().steps[state.row];
const frame = () => trace().frames[state.column];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const nearest = (list, value) => list.reduce((best, item, i) => Math.abs(item - value) < Math.abs(list[best] - value) ? i : best, 0);
const update = () => views.forEach(view => view());

function move(row, column) {
  state.row = clamp(row, 0, trace().steps.length - 1);
  state.column = clamp(column, 0, trace().frames.length - 1);
  update();
}
