// what each panel of curves shows, and in which words

const OBSERVERS = ["observer-state", "observer-rollout"];
const named = who => ({ model: "model", "observer-state": "same latents", "observer-rollout": "own rollout" })[who];
const fully = who => who === "model" ? "model" : `observer, ${named(who)}`;

function line(who, curve, label, more = {}) { return { who, points: curve, label, ...more }; }

/* The model's curve of a metric with the observers'; observers that agree share one label. */
function beside(metric) {
  const lines = [line("model", points(metric), "model")];
  const seen = OBSERVERS.map(who => [who, points(metric, who)]).filter(([, curve]) => curve.length);
  if (metric === "multiplicity" && !seen.length && points("observer_multiplicity").length) seen.push(["observer-state", points("observer_multiplicity")]);
  const same = seen.length === 2 && JSON.stringify(seen[0][1]) === JSON.stringify(seen[1][1]);
  seen.forEach(([who, curve], i) => lines.push(line(who, curve, same ? (i ? null : "both observers") : wide() ? fully(who) : named(who))));
  return lines;
}
const top = (lines, least = 0) => Math.max(least, ...lines.flatMap(l => l.points.map(([, v]) => v)));
/* The next round number above. */
function round(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8, 10].find(digit => digit * unit >= value - 1e-9) * unit;
}
const now = metric => { const value = at(points(metric), step()); return value === null ? "" : short(value); };

function answerPanel() {
  const lines = [line("model", points("progress"), "progress", { second: points("success").length > 0 }), line("model", points("success"), "solved", { steps: true })];
  return { title: "Answer", lines: lines.filter(l => l.points.length), low: 0, high: 1, format: percent,
    text: "How far the puzzle would be solved if the model stopped at this step.",
    now: () => [at(points("progress"), step()) === null ? null : percent(at(points("progress"), step())), trace().answers[step()]].filter(Boolean).join(" · ") };
}
function knowledgePanel() {
  const lines = beside("knowledge");
  return { title: "Knowledge", lines, low: 0, high: round(top(lines, 0.2)), threshold: 0.1, now: () => `R = ${now("knowledge")}`,
    text: "R is the distance from the estimate to the nearest blend of valid solutions: 0 on them, 1 as far as a still picture. Only a fall of R is computation." };
}
function choicePanel() {
  const list = candidates();
  const lines = list.flatMap(c => ["model", ...OBSERVERS].map(who =>
    line(who, points("choice", who, c), who === "model" ? nameOf(c) : null, { candidate: c }))).filter(l => l.points.length);
  return { title: "Choice", lines, low: 0, high: 1, threshold: 0.9, format: percent, thumbnails: true, commitments: commitments(),
    now: () => list.map(c => `${nameOf(c)} ${percent(at(points("choice", "model", c), step()) ?? 0)}`).join(" · "),
    text: "How much of each valid solution is in the estimate. Noise alone can settle this: the observer, which knows all solutions, shows when." };
}
/* When each of them has chosen for good: the weight of its final candidate is at least 0.9 from here on. */
function commitments() {
  const found = ["model", ...OBSERVERS].map(who => {
    const curves = candidates().map(c => points("choice", who, c)).filter(curve => curve.length);
    if (!curves.length) return null;
    const final = curves.reduce((a, b) => b.at(-1)[1] > a.at(-1)[1] ? b : a);
    let first = null;
    for (let i = final.length - 1; i >= 0 && final[i][1] >= 0.9; i -= 1) first = final[i];
    return first && { who, at: first, label: `${fully(who)}: step ${first[0]}` };
  }).filter(Boolean);
  const [state, rollout] = OBSERVERS.map(who => found.find(f => f.who === who));
  if (state && rollout && state.at[0] === rollout.at[0]) {
    state.label = `both observers: step ${state.at[0]}`;
    found.splice(found.indexOf(rollout), 1);
  }
  return found.sort((a, b) => a.at[0] - b.at[0]);
}
function multiplicityPanel() {
  const lines = beside("multiplicity");
  return { title: "Multiplicity", lines, low: 1, high: Math.max(candidates().length, top(lines, 1.1)), now: () => now("multiplicity"),
    text: "How many solutions the estimate holds at once, the exponential of the entropy of the weights. 1 is a decision." };
}
function settlingPanel() {
  return { title: "Settling", lines: [line("model", trace().settling, "model")], low: 0, high: top([{ points: trace().settling }], 1), format: percent,
    now: () => percent(at(trace().settling, step()) ?? 0),
    text: "Squared distance from this step’s clean estimate to the last one, relative to the first step." };
}
function framesPanel() {
  return { title: "Which frames still move", map: trace().settling_map, now: () => "",
    text: "The same distance for each latent frame, first on top. Columns that fade as one: the steps carry the work. Rows that fade in turn: the frames do." };
}
function panels() {
  const list = [];
  if (points("progress").length || points("success").length) list.push(answerPanel());
  if (points("knowledge").length) list.push(knowledgePanel());
  if (candidates().length > 1) list.push(choicePanel());
  if (candidates().length > 1 && points("multiplicity").length) list.push(multiplicityPanel());
  return [...list, settlingPanel(), framesPanel()];
}
