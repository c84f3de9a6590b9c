// the numbers of the run on screen

const BRANCHES = ["cond", null, "uncond"];
function points(metric, who = "model", candidate = null) {
  const found = trace().series.filter(s => s.metric === metric && s.who === who && s.candidate === candidate);
  found.sort((a, b) => BRANCHES.indexOf(a.cfg_branch) - BRANCHES.indexOf(b.cfg_branch));
  return found.length ? found[0].points : [];
}
const at = (curve, k) => { const hit = curve.find(([s]) => s === k); return hit ? hit[1] : null; };
function candidates() {
  const named = trace().series.filter(s => s.metric === "choice" && s.candidate !== null).map(s => s.candidate);
  return [...new Set(named)].sort((a, b) => a - b);
}
const nameOf = candidate => candidate < 26 ? String.fromCharCode(65 + candidate) : `#${candidate + 1}`;
const isPuzzle = () => trace().solutions.length > 0 || points("success").length > 0;
