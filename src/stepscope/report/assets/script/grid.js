// every step, every frame: a grid of pictures that can be walked with the arrow keys

const wide = () => window.matchMedia("(min-width: 561px)").matches;
let cells = [], rows = [], names = [];

/* Cells as large as the width allows; on a wide screen no taller than lets all steps be seen at once. */
function gridSize() {
  const t = trace(), least = wide() ? 156 : 134, count = t.frames.length, room = $("scroller").clientWidth - 4;
  const across = Math.floor((room - least) / count) - 2, shape = t.width / t.height;
  if (!wide()) return { head: least, cell: clamp(across, 40, 72) };
  const tall = Math.max(Math.floor((window.innerHeight - 196) / t.steps.length) - 2, 31) * shape;
  const cell = clamp(Math.floor(Math.min(across, tall)), 26, 96);
  return { head: clamp(room - count * (cell + 2), least, 232), cell };
}

function buildGrid() {
  const t = trace(), grid = $("grid"), { head, cell } = gridSize();
  grid.style.setProperty("--head", `${head}px`);
  grid.style.setProperty("--frames", t.frames.length);
  grid.style.setProperty("--cell", `${cell}px`);
  grid.style.setProperty("--cell-height", `${Math.round(cell * t.height / t.width)}px`);
  grid.setAttribute("aria-rowcount", t.steps.length + 1);
  names = t.frames.map(f => el("span", { role: "columnheader", text: f }));
  const title = el("div", { role: "row", class: "column-names" }, rowHead(["step", "σ", sharesName(), ""], "columnheader"), ...names);
  cells = [];
  rows = t.steps.map((k, row) => buildRow(k, row, cell));
  grid.replaceChildren(title, ...rows);
}

function rowHead([number, sigma, shares, result], role) {
  return el("div", { class: "row-head", role }, el("span", { class: "number", text: number }), el("span", { text: sigma }),
    shares, typeof result === "string" ? el("span", { text: result }) : result);
}

function buildRow(k, row, cell) {
  const t = trace();
  cells[row] = t.frames.map((f, column) => {
    const canvas = sized(el("canvas", { "aria-hidden": "true" }), cell);
    drawFrame(canvas, loaded.sheets[row], column);
    return el("div", { role: "gridcell", tabindex: -1, "data-step": k, "data-frame": f, "data-row": row, "data-column": column,
      "aria-selected": "false", "aria-label": `step ${k}, frame ${f}` }, canvas);
  });
  return el("div", { role: "row" }, rowHead([String(k), t.sigmas[k].toFixed(2), shares(k), mark(k)], "rowheader"), ...cells[row]);
}

const sharesName = () => el("span", { class: "shares-name" }, ...(candidates().length > 1
  ? candidates().map(c => el("b", { class: "candidate", text: nameOf(c), style: { "--colour": colour(c) } })) : ["settled"]));

/* The small bar beside a row: the weight of each candidate, or how much of the way to the end is done. */
function shares(k) {
  const list = candidates().length > 1 ? candidates().map(c => [at(points("choice", "model", c), k) ?? 0, colour(c)])
    : [[1 - Math.min(at(trace().settling, k) ?? 1, 1), "var(--settled)"]];
  return el("span", { class: "shares", "aria-hidden": "true" }, ...list.map(([share, tint]) => el("i", { style: { width: percent(share), "--colour": tint } })));
}

function mark(k) {
  const success = at(points("success"), k);
  if (success === null) return el("span", { class: "result" });
  return success >= 0.5 ? el("span", { class: "result good", text: "✓", title: "solved", role: "img", "aria-label": "solved" })
    : el("span", { class: "result bad", text: "·", title: "not solved", role: "img", "aria-label": "not solved" });
}

let chosen = null;
function updateGrid() {
  const cell = cells[state.row][state.column], had = $("grid").contains(document.activeElement);
  if (chosen) { chosen.setAttribute("aria-selected", "false"); chosen.tabIndex = -1; }
  cell.setAttribute("aria-selected", "true");
  cell.tabIndex = 0;
  chosen = cell;
  rows.forEach((row, i) => row.classList.toggle("here", i === state.row));
  names.forEach((name, i) => name.classList.toggle("here", i === state.column));
  if (had) cell.focus({ preventScroll: true });
  reveal(cell);
}
/* Keep the chosen cell in sight sideways; never scroll the page. */
function reveal(cell) {
  const box = $("scroller"), head = parseFloat(getComputedStyle($("grid")).getPropertyValue("--head"));
  if (box.scrollWidth <= box.clientWidth) return;
  const left = cell.offsetLeft, right = left + cell.offsetWidth;
  if (left - head < box.scrollLeft) box.scrollLeft = left - head - 4;
  else if (right > box.scrollLeft + box.clientWidth) box.scrollLeft = right - box.clientWidth + 4;
}

function listenGrid() {
  const pick = event => {
    const cell = document.elementFromPoint(event.clientX, event.clientY)?.closest("[role=gridcell]");
    if (!cell || !$("grid").contains(cell)) return;
    stop();
    move(Number(cell.dataset.row), Number(cell.dataset.column));
  };
  $("grid").addEventListener("click", event => { pick(event); chosen?.focus({ preventScroll: true }); });
  $("grid").addEventListener("pointermove", event => { if (event.pointerType === "mouse" && event.buttons === 1) pick(event); });
}
