// What states, verdicts and journal lines are called, how urgent they are, and what helps. Words are the contract's; nothing is renamed here.

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

const COMMAND = (text) => ({ command: text });

export const ON_ALERT = {
  OldPrimaryReturned: (name, member, active) => [`On ${member}, so that clients with old answers cannot write there: \`failover client-connection disable\`, \`failover mode secondary\`; then sync it from ${active}.`],
  TrafficOnUnpromoted: (name, member) => [`Promote ${member}, which has the traffic: \`failover mode primary\` there.`],
  RolesSwappedOutside: (name) => ["If the exchange was meant, let lbctl follow:", `lbctl swap-roles ${name} --reason …`],
  MassMoveHeld: (name) => ["Find the common cause of so many failures at once. Then:", `lbctl release ${name}`],
  MaintenanceEnding: (name) => ["Not ready yet? Take more time:", `lbctl maintenance extend ${name} --for 1h --reason …`],
  NotArmed: (name) => ["Automatic moves are still off. If you know better:", `lbctl ack ${name} --reason …`],
  UpgradeUnfinished: (name) => ["Only the last step of the upgrade is missing:", `lbctl upgrade ${name} next`],
  PoolShort: (name, member) => [`${member} is down and still gets clients, because too few others are up. Look at it:`, `lbctl probe ${name}/${member}`],
  MemberDown: (name, member) => [`${member} is down; the others serve. Look at it:`, `lbctl probe ${name}/${member}`],
  ClientPathDown: (name, member) => [`${member} is well, and its clients do not reach it: look at the gateway or proxy before it. See both paths:`, `lbctl probe ${name}/${member}`],
  PathsDisagree: (name, member) => [`Directly and by the clients' path ${member} looks different. See both:`, `lbctl probe ${name}/${member}`],
  WrongServer: (name, member) => [`Looks at ${member} are answered by another member; nothing moves meanwhile. Compare certificate and address:`, `lbctl probe ${name}/${member}`],
  FamilyWithheld: (name, member) => [`One address family of ${member} does not answer; its clients are sent over the other. See which:`, `lbctl probe ${name}/${member}`],
  StandbyDown: (name, member) => [`Look at ${member}, which could not take over:`, `lbctl probe ${name}/${member}`],
  Rogue: (name, member) => [`Find out who promoted ${member}; if nobody is to use it: \`failover mode secondary\` there. See what it says:`, `lbctl probe ${name}/${member}`],
  SelfPromotedNotAdopted: (name, member) => [`Make sure that nobody else writes, then accept ${member}:`, `lbctl failover ${name} --to ${member} --reason …`],
  RunFailed: (name) => ["The run on the Cores has stopped, and nothing goes on by itself. Repair what it names, then:", `lbctl resume ${name} --drive`],
  NotSaved: () => ["lbctl decides nothing that it cannot save. Look at the disk of its state file, on its own host.", ""],
  HeldLong: (name) => ["Held for more than eight hours. If that is forgotten:", `lbctl release ${name}`],
  FollowNotPossible: (name) => ["It cannot follow to where its clients are. Repair its members at that site:", `lbctl explain ${name}`],
  UnknownMode: (name, member) => [`See what ${member} really says:`, `lbctl probe ${name}/${member}`],
};

// What helps now, most urgent first: sentences, each with the command to type.
export function advice(shown, explained) {
  const name = shown.name;
  const says = [];
  // half-way through an exchange of roles nobody serves for a moment: what helps against a failure would do harm now
  if (shown.run && !shown.run.failed && shown.run.kind !== "upgrade" && shown.run.kind !== "promote")
    return [{ text: `A ${shown.run.kind} is under way on the Cores, and for a moment none of them serves: that is no failure. Wait for its end; it takes the steps above by itself.`, ...COMMAND(`lbctl status ${name} --watch`) }];
  const primaryElsewhere = shown.members.find((member) => !member.active && Object.values(member.monitors).some((page) => page.verdict === "primary"));
  const text = {
    stranded: ["Make sure that the old active member takes no writes. Then:", `lbctl failover ${name} --to ${primaryElsewhere?.name || "MEMBER"} --reason …`],
    down: ["Repair the active member, or open the rule named below:", `lbctl explain ${name}`],
    "all-down": ["Repair any member; what is published follows by the rules.", `lbctl status ${name}`],
    "dual-primary": ["On the one that shall not be Primary: failover mode secondary. Then let it sync.", `lbctl status ${name}`],
    blind: ["Check the network and the resolver of the controller's own host.", ""],
    "common-mode": ["Look for one cause: certificate, authority, resolver, something in between.", `lbctl probe ${name}/${shown.active || "MEMBER"}`],
    uninitialised: published(shown) ? ["Accept what is published as the truth, once you have looked at it:", `lbctl adopt ${name}`]
      : ["Nothing that could be accepted is published everywhere. Find out who serves as Primary, then:", `lbctl adopt ${name} --member MEMBER --reason …`],
    "re-arming": ["It arms itself after clean rounds. At once:", `lbctl ack ${name} --reason …`],
    partial: ["The ledger below names the place and its error.", ""],
  }[shown.state];
  const active = shown.members.find((member) => member.active);
  if (shown.monitor === "core" && active && !active.promoted && active.health === "up" && active.monitors.status?.verdict !== "ok" && shown.kind !== "pool")
    says.push({ text: `Promote ${active.name}, unless it does so by itself: on its command line, \`enable\`, then`, ...COMMAND("failover mode primary") });
  if (text) says.push({ text: text[0], ...COMMAND(text[1]) });
  if (shown.active === shown.primary && (shown.alerts || []).some((alert) => alert.kind === "NoEligibleStandby")) says.push({ text: "Nobody could take over. Each practice that is not kept stands under Readiness:", ...COMMAND(`lbctl readiness ${name}`) });
  for (const alert of shown.alerts || []) {
    const told = ON_ALERT[alert.kind]?.(name, alert.member, shown.active);
    if (told) says.push({ text: told[0], ...COMMAND(told[1] || "") });
  }
  if (shown.active && shown.active !== shown.primary) says.push(...wayBack(shown, explained));
  return says;
}

// One and the same member was read everywhere at the start.
const published = (shown) => new Set(shown.actuators.map((item) => item.shows)).size === 1 && shown.members.some((member) => member.name === shown.actuators[0].shows);

function wayBack(shown, explained) {
  const resume = explained?.resume;
  const swap = { text: "Or keep traffic here and exchange the roles:", ...COMMAND(`lbctl swap-roles ${shown.name} --reason …`) };
  if (resume?.open) return [{ text: `The way back to ${shown.primary} is open:`, ...COMMAND(`lbctl resume ${shown.name}`) }, swap];
  const lacks = resume ? [{ text: `The way back to ${shown.primary} is not open yet: ${resume.rule} (${resume.evidence}); opened by ${resume.opens}.`, ...COMMAND("") }] : [];
  return [...lacks, { text: "Where lbctl drives the Cores over SSH, it does all of that:", ...COMMAND(`lbctl resume ${shown.name} --drive`) }, swap];
}
