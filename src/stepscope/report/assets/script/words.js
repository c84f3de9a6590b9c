// cautions and provenance

function writeWords() {
  const t = trace(), watched = t.series.some(s => s.who !== "model");
  $("measures-title").textContent = !points("knowledge").length ? "How the video settled" : candidates().length > 1 ? "What it knew, and what it chose" : "What it knew";
  $("who").hidden = !watched;
  $("who").replaceChildren(...[["", "the model"], ["state", "the ideal observer, reading the same latents"], ["rollout", "the ideal observer in its own rollout from the same noise"]]
    .map(([kind, words]) => el("li", {}, el("i", { class: `key ${kind}` }), words)));
  const [title, text] = CAUTIONS[Math.min(t.solutions.length, 2)];
  $("caution").replaceChildren(el("b", { text: title }), ` ${text}`);
}
const CAUTIONS = [                                 // by the number of known solutions: none, one, several
  ["Blur is expected.", "While the noise is strong, many videos fit it, and the best possible estimate is their average. A blurred early step is what any good denoiser shows, and alone no sign of thought."],
  ["One solution, nothing to choose.", "An ideal observer, which knows that solution, would be right at every step. So what is blurred or wrong in the early rows is what the model did not yet know; R is its measure."],
  ["Ghosts are expected.", "While the noise is strong, several solutions fit it equally well, and the best possible estimate is their blend. The ideal observer searches for nothing and shows the same ghosts. So ghosts alone are no sign of search: look at what differs from the observer, an R above 0 or a later choice."],
];

function writeProvenance() {
  $("pictures").textContent = `Every picture and curve is this run’s own. Pictures: ${data.pictures.note}.`;
  const t = trace(), own = t ? [["model calls of this run", String(t.model_calls)], ["sigmas", t.sigmas.map(s => s.toFixed(4)).join(" ")]] : [];
  const lines = [...data.provenance, ...own];
  $("provenance").replaceChildren(...lines.map(([label, text]) => el("div", { class: text.length > 60 ? "wide" : null }, el("dt", { text: label }), el("dd", { text }))));
}
