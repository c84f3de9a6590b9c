// drawing a panel: curves with labels at their ends, a map, and the cursor that all share

const HEIGHT = 176, BELOW = 34, LEFT = 34;
let cursors = [];

function buildPanels() {
  cursors = [];
  const built = panels().map(panel => {
    const plot = el("div", { class: "plot" }), value = el("span", { class: "now" });
    return { panel, plot, value, card: el("figure", { class: "panel" }, el("h3", {}, panel.title, value), el("p", { text: panel.text }), plot) };
  });
  $("panels").replaceChildren(...built.map(b => b.card));
  for (const b of built) drawPanel(b);
}

function drawPanel({ panel, plot, value }) {
  const width = plot.clientWidth, { place, ticks, title } = axis();
  const right = panel.map ? 12 : panel.thumbnails ? 78 : wide() ? 150 : 100;
  const above = panel.commitments ? 12 + 15 * panel.commitments.length : 10;
  const box = { left: LEFT, right: width - right, top: above, bottom: above + HEIGHT };
  const x = k => box.left + place(k) * (box.right - box.left);
  const y = v => box.bottom - (v - panel.low) / (panel.high - panel.low || 1) * (box.bottom - box.top);
  const root = svg("svg", { viewBox: `0 0 ${width} ${box.bottom + BELOW}`, height: box.bottom + BELOW, role: "img", "aria-label": `${panel.title} against ${title}` });
  root.append(...frameOf(box, ticks, title, panel, y));
  if (panel.map) root.append(...tiles(panel.map, box, x)); else drawLines(root, plot, panel, box, x, y);
  const dots = panel.map ? [] : panel.lines.filter(l => l.who === "model" && !l.second).map(l => [l, svg("circle", { r: 4, class: "dot", style: tint(l) })]);
  const hair = svg("line", { class: "cursor", y1: box.top, y2: box.bottom });
  root.append(hair, ...dots.map(([, dot]) => dot));
  plot.append(root);
  cursors.push(() => {
    fill(hair, { x1: x(step()), x2: x(step()) }, []);
    for (const [l, dot] of dots) {
      const v = at(l.points, step());
      fill(dot, v === null ? { visibility: "hidden" } : { visibility: "visible", cx: x(step()), cy: y(v) }, []);
    }
    value.textContent = panel.now();
  });
  listenPlot(plot, x);
}
const tint = l => l.candidate === undefined ? {} : { "--colour": colour(l.candidate) };

function frameOf(box, ticks, title, panel, y) {
  const parts = ticks.flatMap(([place, label]) => {
    const x = box.left + place * (box.right - box.left);
    return [svg("line", { class: "gridline", x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4 }), svg("text", { x, y: box.bottom + 16, "text-anchor": "middle", text: label })];
  });
  parts.push(svg("text", { x: box.left, y: box.bottom + 31, text: title }));
  if (panel.map) return parts;
  const format = panel.format || short;
  for (const share of [0, 0.5, 1]) {
    const value = panel.low + share * (panel.high - panel.low);
    parts.push(svg("line", { class: "gridline", x1: box.left, x2: box.right, y1: y(value), y2: y(value) }),
      svg("text", { x: box.left - 7, y: y(value) + 4, "text-anchor": "end", text: format(value) }));
  }
  if (panel.threshold) parts.push(svg("line", { class: "threshold", x1: box.left, x2: box.right, y1: y(panel.threshold), y2: y(panel.threshold) }));
  return parts;
}

function drawLines(root, plot, panel, box, x, y) {
  for (const l of [...panel.lines].reverse()) {
    const kind = `curve ${l.who}${l.second ? " second" : ""}${l.candidate === undefined ? "" : " tinted"}`;
    root.append(svg("path", { class: kind, d: path(l, x, y), style: tint(l) }));
  }
  const ends = panel.lines.filter(l => l.label).map(l => ({ l, x: x(l.points.at(-1)[0]), y: y(l.points.at(-1)[1]) }));
  const side = panel.thumbnails ? clamp(Math.floor(HEIGHT / ends.length) - 8, 14, 44) : 0;
  apart(ends, side ? side + 8 : 15, box);
  for (const end of ends) root.append(...endLabel(end, box, panel.thumbnails));
  if (panel.thumbnails) for (const end of ends) thumbnail(plot, end, box, side);
  for (const [i, c] of (panel.commitments || []).entries()) root.append(...commitment(c, i, box, x, y));
}
function path(l, x, y) {
  return l.points.map(([k, v], i) => i === 0 ? `M${x(k)} ${y(v)}` : l.steps ? `H${x(k)}V${y(v)}` : `L${x(k)} ${y(v)}`).join("");
}
/* Push labels apart until none overlap, keeping their order and the plot's bounds. */
function apart(ends, gap, box) {
  ends.sort((a, b) => a.y - b.y).forEach((end, i) => { end.at = i ? Math.max(end.y, ends[i - 1].at + gap) : Math.max(end.y, box.top + (gap > 20 ? gap / 2 - 8 : 0)); });
  const floor = box.bottom - (gap > 20 ? gap / 2 - 8 : 0);
  for (let i = ends.length - 1; i >= 0; i -= 1) ends[i].at = Math.min(ends[i].at, i === ends.length - 1 ? floor : ends[i + 1].at - gap);
}
function endLabel({ l, x, y, at: placed }, box, withPicture) {
  const from = box.right + 5, to = box.right + 16;
  return [svg("path", { class: "leader", d: `M${Math.min(x, box.right) + 4} ${y}C${to - 4} ${y} ${from} ${placed} ${to} ${placed}` }),
    withPicture ? null : svg("text", { class: `label ${l.who === "model" && !l.second ? "strong" : ""}`, x: to + 3, y: placed + 4, text: l.label })].filter(Boolean);
}
function thumbnail(plot, { l, at: placed }, box, side) {
  const sheet = loaded.solutions[l.candidate], left = box.right + 18;
  plot.append(el("b", { class: "solution-name", text: l.label, style: { ...tint(l), left: `${left + (sheet ? side + 4 : 0)}px`, top: `${placed - 10}px` } }));
  if (!sheet) return;
  const canvas = sized(el("canvas", { class: "solution", role: "img", "aria-label": `Solution ${l.label}`, title: `Solution ${l.label}, all frames at once`,
    style: { ...tint(l), width: `${side}px`, left: `${left}px`, top: `${placed - side / 2}px` } }), side);
  drawWhole(canvas, overlay(sheet));
  plot.append(canvas);
}
function commitment(c, i, box, x, y) {
  const left = x(c.at[0]), row = 11 + 15 * i, end = left > (box.left + box.right) / 2;
  return [svg("line", { class: "leader", x1: left, x2: left, y1: row - 4, y2: y(c.at[1]) }),
    svg("circle", { class: "commit", cx: left, cy: y(c.at[1]), r: 2.5 }),
    svg("text", { class: `label ${c.who === "model" ? "strong" : ""}`, x: left + (end ? -5 : 5), y: row, "text-anchor": end ? "end" : "start", text: c.label })];
}
function tiles(map, box, x) {
  const height = (box.bottom - box.top) / map[0].length;
  return map.flatMap((values, k) => {
    const left = x(k), end = k + 1 < map.length ? x(k + 1) : Math.min(left + (left - x(k - 1 < 0 ? 0 : k - 1)), box.right + 12);
    return values.map((value, f) => svg("rect", { class: "tile", x: left, y: box.top + f * height, width: Math.max(end - left - 1, 0.5), height: height - 1, "fill-opacity": 0.05 + 0.95 * Math.sqrt(value) }));
  });
}

function listenPlot(plot, x) {
  const pick = event => {
    const here = event.clientX - plot.getBoundingClientRect().left;
    const row = trace().steps.reduce((best, k, i) => Math.abs(x(k) - here) < Math.abs(x(trace().steps[best]) - here) ? i : best, 0);
    stop();
    move(row, state.column);
  };
  plot.addEventListener("pointerdown", event => { pick(event); if (event.pointerType === "mouse") plot.setPointerCapture(event.pointerId); });
  plot.addEventListener("pointermove", event => { if (event.buttons === 1) pick(event); });
}
