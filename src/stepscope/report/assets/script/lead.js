// the sentence that says what happened, the facts beside it, the choice of a run

/* Tint what the sentence names: candidates in their colours, the verdict in green or red. */
function tinted(sentence) {
  const parts = sentence.split(/(Solved\.$|Not solved.*$)|((?<=chose |solution )[A-Z](?=[ .;]))/);
  return parts.filter(Boolean).map(part => {
    if (/^Solved\.$/.test(part)) return el("span", { class: "verdict good", text: part });
    if (/^Not solved/.test(part)) return el("span", { class: "verdict bad", text: part });
    if (/^[A-Z]$/.test(part)) return el("span", { class: "candidate", text: part, style: { "--colour": colour(part.charCodeAt(0) - 65) } });
    return document.createTextNode(part);
  });
}

function writeLead() {
  const t = trace();
  $("headline").replaceChildren(...tinted(t.headline));
  $("detail").textContent = t.detail;
  $("detail").hidden = !t.detail;
  const facts = [["model", data.model], ["task", t.task], ["sample", t.sample], ["seed", t.seed], ["branch", t.branch === "clean" ? null : t.branch],
    ["steps", t.num_steps], ["frames", t.num_frames], ["answer", t.answer]];
  $("facts").replaceChildren(...facts.filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => el("li", {}, `${name} `, el("b", { text: value }))));
  $("prompt").textContent = t.prompt;
}

function writeRuns() {
  $("runs").hidden = data.traces.length < 2;
  $("run").replaceChildren(...data.traces.map((t, i) => el("option", { value: i, text:
    `${t.sample === null ? "" : `sample ${t.sample} · `}seed ${t.seed}${t.branch === "clean" ? "" : ` · ${t.branch}`}` })));
  $("run").addEventListener("change", () => choose(Number($("run").value)));
}
