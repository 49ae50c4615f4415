// Latency and verdicts of the last twenty minutes, drawn from the controller's own ring: the picture is there at the first paint, whoever looked
// meanwhile. A column is one cell; a band from the fastest to the slowest good look, failed looks as bars that hang from the top.
import { h } from "./dom.js";
import { millis } from "./times.js";

const W = 240, H = 40, TOP = 3;

const sum = (numbers) => numbers.reduce((all, number) => all + (number || 0), 0);

// What the picture says, in words. `columns` as `GET /services/{name}/looks` has them.
export function words(name, columns, minutes) {
  const good = sum(columns.good), failed = sum(columns.failed), slow = columns.slowest_s.filter(Boolean), fast = columns.fastest_s.filter(Boolean);
  if (!good && !failed) return `${name}: no look in the last ${minutes} minutes`;
  const why = [...new Set(columns.reason.filter((reason, index) => columns.failed[index] && reason))].join(", ");
  const took = slow.length ? `fastest ${millis(Math.min(...fast))}, slowest ${millis(Math.max(...slow))}, ` : "";
  return `${name}, last ${minutes} minutes: ${took}${failed ? `${failed} failed (${why})` : "none failed"} of ${good + failed} looks`;
}

const LEAST = 15;

// Without the cells from before anybody looked: a controller that was started five minutes ago has five minutes to show.
export function trimmed(looks) {
  const rows = Object.values(looks?.members || {}).flatMap((pages) => Object.values(pages));
  if (!rows.length) return looks;
  const from = Math.min(...rows.map((row) => { const first = row.good.findIndex((count) => count !== null); return first < 0 ? row.good.length : first; }), rows[0].good.length - LEAST);
  for (const row of rows) for (const name of Object.keys(row)) row[name] = row[name].slice(from);
  return looks;
}

export const slowest = (columns) => Math.max(0, ...columns.slowest_s.filter(Boolean)) || null;

// `calm`: failures are expected of this page and drawn quietly. `moved`: where in the picture traffic has moved, 0 to 1, else null.
export function picture(name, columns, minutes, { calm = false, moved = null } = {}) {
  const cells = columns.good.map((good, index) => ({ index, good: good || 0, failed: columns.failed[index] || 0, fast: columns.fastest_s[index], slow: columns.slowest_s[index] }));
  const wide = W / (cells.length || 1), most = Math.max(0.005, slowest(columns) || 0) * 1.5;
  const x = (cell, edge = 0.5) => ((cell.index + edge) * wide).toFixed(1);
  const y = (took) => (H - 2 - (took / most) * (H - TOP - 4)).toFixed(1);
  return h("svg", { class: `chart ${calm ? "calm" : ""}`, viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none", role: "img", "aria-label": words(name, columns, minutes) },
    runs(cells.filter((cell) => cell.good || cell.failed)).map((run) => h("line", { x1: x(run[0], 0), x2: x(run[run.length - 1], 1), y1: H - 1, y2: H - 1, class: "base" })),
    runs(cells.filter((cell) => cell.good)).map((run) => [
      h("polygon", { class: "band", points: [...run.map((cell) => `${x(cell)},${y(cell.slow)}`), ...[...run].reverse().map((cell) => `${x(cell)},${y(cell.fast)}`)].join(" ") }),
      run.length > 1 ? h("polyline", { points: run.map((cell) => `${x(cell)},${y(cell.slow)}`).join(" ") })
        : h("line", { x1: x(run[0], 0.2), x2: x(run[0], 0.8), y1: y(run[0].slow), y2: y(run[0].slow), class: "dot" })]),
    cells.filter((cell) => cell.failed).map((cell) => h("rect", { class: "failed", x: x(cell, 0.15), width: (wide * 0.7).toFixed(1), y: 0, height: (((H - 2) * cell.failed) / (cell.good + cell.failed)).toFixed(1) })),
    moved === null ? null : h("line", { class: "moved", x1: (moved * W).toFixed(1), x2: (moved * W).toFixed(1), y1: 0, y2: H }));
}

// Unbroken stretches.
function runs(cells) {
  const found = [];
  for (const cell of cells) {
    const last = found[found.length - 1];
    if (last && last[last.length - 1].index === cell.index - 1) last.push(cell);
    else found.push([cell]);
  }
  return found;
}
