// How long looks took, drawn as they come: one line a page, failed looks as marks at the top. The last `KEPT` looks of this visit are kept.
import { h } from "./dom.js";
import { millis } from "./times.js";

const KEPT = 240;
const seen = new Map();

const key = (service, member, page) => `${service}/${member}/${page}`;

// Remembers the newest look of each page.
export function remember(shown) {
  for (const member of shown.members) {
    for (const [name, monitor] of Object.entries(member.monitors)) {
      if (!monitor.looked) continue;
      const id = key(shown.name, member.name, name);
      const looks = seen.get(id) || [];
      const at = Date.parse(monitor.looked);
      if (looks.length && looks[looks.length - 1].at >= at) continue;
      looks.push({ at, took: monitor.duration_s || 0, good: monitor.verdict !== "failed" && monitor.verdict !== "unknown" });
      if (looks.length > KEPT) looks.shift();
      seen.set(id, looks);
    }
  }
}

const W = 240, H = 40, TOP = 6;

// The picture for one page of a member; its text says the same in words.
export function latency(service, member, page) {
  const looks = seen.get(key(service, member, page)) || [];
  const good = looks.filter((look) => look.good);
  const most = Math.max(0.005, ...good.map((look) => look.took)) * 1.15;
  const from = looks[0]?.at || 0, width = Math.max(1, (looks[looks.length - 1]?.at || 1) - from);
  const x = (look) => (looks.length < 2 ? W - 2 : ((look.at - from) / width) * (W - 4) + 2).toFixed(1);
  const y = (look) => (H - 2 - (look.took / most) * (H - TOP - 4)).toFixed(1);
  const sorted = good.map((look) => look.took).sort((a, b) => a - b);
  const failed = looks.length - good.length;
  const words = sorted.length
    ? `${page}: median ${millis(sorted[sorted.length >> 1])}, slowest ${millis(sorted[sorted.length - 1])}, ${failed} failed of ${looks.length} looks`
    : `${page}: ${failed} failed of ${looks.length} looks`;
  return h("svg", { class: "chart", viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
    h("line", { x1: 0, x2: W, y1: H - 1.5, y2: H - 1.5, class: "base" }),
    runs(looks).map((run) => run.length > 1
      ? h("polyline", { points: run.map((look) => `${x(look)},${y(look)}`).join(" ") })
      : h("line", { x1: x(run[0]), x2: Number(x(run[0])) + 1, y1: y(run[0]), y2: y(run[0]), class: "dot" })),
    looks.filter((look) => !look.good).map((look) => h("line", { x1: x(look), x2: x(look), y1: 1, y2: H - 2, class: "failed" })));
}

// Unbroken stretches of good looks.
function runs(looks) {
  const found = [];
  let run = [];
  for (const look of looks) {
    if (look.good) run.push(look);
    else if (run.length) found.push(run), (run = []);
  }
  return run.length ? [...found, run] : found;
}

export function typical(service, member, page) {
  const sorted = (seen.get(key(service, member, page)) || []).filter((look) => look.good).map((look) => look.took).sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : null;
}
