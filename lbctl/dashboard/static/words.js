// What states, verdicts and journal lines are called and how urgent they are. Words are the contract's; what helps is told by the controller.

export const STATES = {
  normal: ["ok", "Normal", "The primary has the traffic and serves."],
  "failed-over": ["warn", "Failed over", "The active member is not the primary. Nothing moves back by itself."],
  "re-arming": ["info", "Re-arming", "Maintenance has ended; clean rounds are counted before anything automatic happens."],
  partial: ["warn", "Partial", "Not every place shows what was decided. lbctl goes on trying."],
  uninitialised: ["bad", "Uninitialised", "lbctl does not know who is active. It overwrites nothing and waits."],
  blind: ["bad", "Blind", "Nothing answers anywhere: lbctl itself may be cut off. No look counts, nothing moves."],
  "common-mode": ["bad", "Common mode", "All members fail in the same way: one cause, not dead members. Nothing moves."],
  down: ["bad", "Down", "The active member is down and a rule of the gate stops the move."],
  "dual-primary": ["bad", "Dual primary", "Two members say Mode: Primary. Nothing automatic happens."],
  stranded: ["bad", "Stranded", "The active member is down and the other side already says Mode: Primary, so the gate stays shut."],
  "all-down": ["bad", "All down", "No member answers as it should. What is published stays."],
};

// The active member while it fails and no condition says so yet: `fall` and `min_outage` still have to be proven. The state's own word is
// `normal` then, and nothing must look so (`api/advice.py` has the same question).
const UNPROVEN = new Set(["normal", "failed-over", "partial", "re-arming"]);
export function failing(shown) {
  if (shown.kind === "pool" || !UNPROVEN.has(shown.state)) return null;
  return shown.members.find((member) => member.name === shown.active && (member.verdict === "failed" || member.health === "down")) || null;
}

const SUSPECT = ["warn", "Suspect", "The active member fails and is not proven down yet. If that goes on, the gate decides."];
// Tone, word and meaning of a whole service: its state, unless that says less than is seen.
export const standing = (shown) => (failing(shown) && state(shown.state)[0] !== "warn" ? SUSPECT : state(shown.state));

export const RANK = { bad: 0, warn: 1, info: 2, ok: 3 };
export const state = (name) => STATES[name] || ["warn", name, ""];

const VERDICTS = {
  ok: ["ok", "OK"], standby: ["ok", "Standby"], primary: ["ok", "Primary"], failed: ["bad", "Failed"], unknown: ["idle", "Unknown"],
};

// Tone and word of what a member's decisive page says. A Primary that is not active is worth a warning.
export function verdict(member) {
  const [tone, word] = VERDICTS[member.verdict] || ["idle", member.verdict];
  return [member.verdict === "primary" && !member.active ? "warn" : tone, word];
}

export const page = (monitor) => VERDICTS[monitor.verdict] || ["idle", monitor.verdict];

const MOVES = new Set(["moved", "pool-changed", "gap", "drain-begun", "drain-ended", "drained", "run-opened", "run-step", "run-closed", "run-goes-on", "would-failover", "verified", "cancelled", "adopted", "adopting", "promoted", "converged", "roles-swapped", "uninitialised"]);
const QUIET = new Set(["look", "way-look", "synced", "sync-unknown", "applied", "read-back", "ttl-lowered", "applied-again", "saved", "started", "clock-stepped"]);

// [tone, group] of a journal line; groups are what the timeline filters by.
export function line(step) {
  const data = step.data || {}, paged = data.page === true; // of a look, `page` is the page's name
  if (step.kind === "command") return [data.code === 0 || data.code === 6 ? "info" : "warn", "people"];
  if (MOVES.has(step.kind)) return [paged ? "bad" : "info", "moves"];
  if (step.kind === "look" || step.kind === "way-look") return [["failed", "unknown"].includes(data.verdict) ? "bad" : "ok", "looks"];
  if (QUIET.has(step.kind)) return ["idle", "looks"];
  if (step.kind.endsWith("-over") && !(step.kind in STATES)) return ["ok", "alerts"];
  if (/^[A-Z]/.test(step.kind)) return [paged ? "bad" : "warn", "alerts"];
  if (step.by && step.by !== "lbctl") return ["info", "people"];
  return [paged ? "bad" : step.kind in STATES ? state(step.kind)[0] : "idle", "alerts"];
}
