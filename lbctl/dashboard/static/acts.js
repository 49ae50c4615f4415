// What an operator can do from here, a row a verb: what it will do in words, what it asks, what is sent, and the same command for a terminal.
// `shown` is the service now, `subject` what the button belonged to, `explained` the controller's own explanation of it.
import { clock, moment } from "./times.js";
import { now } from "./api.js";

const REASON = { name: "reason", label: "Reason", kind: "text", need: true, hint: "It is kept in the journal beside your name." };
const OPTIONAL = { ...REASON, need: false, label: "Reason (optional)" };
const other = (shown) => shown.members.filter((member) => member.name !== shown.active);
const TO = (shown, hint) => ({ name: "to", label: "To", kind: "choice", hint, value: best(shown),
  options: other(shown).map((member) => [member.name, `${member.name} · ${member.verdict}, ${member.health}${member.latched ? ", latched" : ""}${member.needs_resync ? ", needs resync" : ""}`]) });
const FOR = { name: "for", label: "For", kind: "choice", options: ["30m", "1h", "2h", "4h", "8h"].map((text) => [text, text]), value: "1h" };
const BEGINS = { name: "begins", label: "Begins", kind: "choice", value: "", options: [["", "now"], ...["15m", "30m", "1h", "2h", "4h", "8h", "12h", "24h"].map((text) => [text, `in ${text}`])] };
const DRIVE = { name: "drive", label: "Drive the Cores over SSH (clients off, last sync, modes exchanged, verified, traffic, clients on)", kind: "check" };
const DRAIN = { name: "drain", label: "Lower the TTL first and wait until the old one has passed", kind: "check" };
const ATTEST = { name: "attest_synced", label: "I attest that it holds everything that was written", kind: "check", hint: "Only if you have checked it: what is missing there is lost." };

const best = (shown) => (other(shown).find((member) => member.verdict === "standby" && !member.latched && member.approval !== "manual") || other(shown)[0])?.name;
const seconds = (text) => parseFloat(text) * { m: 60, h: 3600 }[text.slice(-1)];
const quoted = (text) => `'${(text || "…").replaceAll("'", "'\\''")}'`;
const later = (text) => new Date(now() + (text ? seconds(text) * 1000 : 0)).toISOString();
const after = (v) => new Date(Date.parse(later(v.begins)) + seconds(v.for) * 1000).toISOString();

const MOVE = (shown, to) => [
  `Clients are sent to ${to || "the chosen member"} instead of ${shown.active}.`,
  `${shown.active} is latched and has to be synced again before it may serve.`,
  "Afterwards nobody can take over automatically, until you resume or swap the roles.",
];

// The rows that the controller would refuse this move by at this moment (its own reading for people, not a guess of the page's).
const against = (explained, to, reading) => explained?.candidates?.find((candidate) => candidate.member === to)?.[reading] || [];
const refused = (rows) => rows.map((row) => `Refused as it is now: ${row.rule} (${row.evidence}).`);

// What it costs to override a rule: A is the member that has the traffic, B the one that would get it. Every rule that a person can meet has a row.
export const OVERRIDES = {
  "active-down": (a, b) => `${a} is not proven down: you take its clients off a member that may work, and both may take writes.`,
  "candidate-standby": (a, b) => `${b} does not say Mode: Standby: clients may be sent to a Core that serves nobody, or both take writes.`,
  "candidate-confirmed": (a, b) => `Nobody has seen ${b} well since ${a} failed: it may be down too.`,
  "re-synced": (a, b) => `${b} lacks what was written since its last sync. Those writes are lost.`,
  "fresh-enough": (a, b) => `The copy on ${b} is older than you have allowed. Whatever is younger is lost.`,
  "follows-active": (a, b) => `${b} does not copy from ${a}: what was written on ${a} is not there.`,
  "not-blind": () => "lbctl may be cut off and sees nothing as it is: what looks dead may be serving.",
  "no-common-mode": (a, b) => `All members fail in the same way: ${b} may fail clients just as ${a} does.`,
  "no-stall": () => "The newest look counts for nothing, because lbctl itself was held up.",
  quorum: (a) => `Not enough observers see ${a} down: it may be lbctl's own path that is broken.`,
  "not-dual-primary": () => "Two members say Mode: Primary, and both may have taken writes. What the other one took is lost.",
  "not-held": (a, b) => "A run on the Cores is left where it stands, with their roles half exchanged.",
};

// A run that exchanges roles stands in the way like a rule does, and is overridden by the same word.
const standing = (shown) => (["resume", "switchover"].includes(shown.run?.kind) ? [{ rule: "not-held", evidence: `a ${shown.run.kind} is at ${shown.run.doing || shown.run.step}` }] : []);
const inTheWay = (shown, explained, to) => [...against(explained, to, "for_failover"), ...standing(shown)];
const accepted = (v) => Object.keys(v).filter((name) => name.startsWith("accept ") && v[name]).map((name) => name.slice(7));

function overrides(shown, explained, v) {
  const rows = inTheWay(shown, explained, v.to);
  const boxes = rows.map((row) => ({ name: `accept ${row.rule}`, kind: "check", label: `Override ${row.rule}: ${row.evidence}`,
    hint: OVERRIDES[row.rule]?.(shown.active || "the active member", v.to) || "This safety rule is not asked." }));
  const typed = { name: "typed", kind: "text", label: `You override a safety rule. Type ${v.to} to confirm`, need: true, equals: v.to };
  return [...boxes, ...(accepted(v).some((rule) => rows.some((row) => row.rule === rule)) ? [typed] : [])];
}

// Only what still stands in the way is overridden: a rule that holds again meanwhile is not named.
const forced = (shown, explained, v) => accepted(v).filter((rule) => inTheWay(shown, explained, v.to).some((row) => row.rule === rule));

function failover(shown, _, explained) {
  return { title: `Fail ${shown.name} over`, go: "Move traffic", danger: true, verb: "failover",
    fields: (v) => [TO(shown, "For a planned move between healthy members use Switch over."), ...overrides(shown, explained, v), REASON],
    body: (v) => ({ to: v.to, reason: v.reason, ...(forced(shown, explained, v).length ? { force: true, accept: forced(shown, explained, v) } : {}) }),
    says: (v) => {
      const without = forced(shown, explained, v);
      return [...MOVE(shown, v.to), ...without.map((rule) => OVERRIDES[rule]?.(shown.active, v.to) || `${rule} is overridden.`),
        ...refused(inTheWay(shown, explained, v.to).filter((row) => !without.includes(row.rule))), without.length ? "" : "Every safety rule that is not yours to decide is checked; a refusal changes nothing."];
    },
    line: (v) => `lbctl failover ${shown.name} --to ${v.to}${forced(shown, explained, v).length ? ` --force --accept ${forced(shown, explained, v).join(",")}` : ""} --reason ${quoted(v.reason)}` };
}

const maintained = (shown) => `If ${shown.active || "the active member"} fails meanwhile, its clients are without service until somebody acts. That still pages.`;
const upgradePath = (shown) => `/services/${encodeURIComponent(shown.name)}/upgrade`;

// Several services at once: each is asked for by itself, with the revision that was seen of it; `shown.many` are the services of the list.
const COUNTED = (many) => ({ name: "typed", kind: "text", label: `This is for ${many.length} services. Type ${many.length} to confirm`, need: true, equals: String(many.length) });
const named = (many, every) => (many.length === every ? "--all" : many.map((one) => one.name).join(" "));
const listed = (many) => `${many.slice(0, 8).map((one) => one.name).join(", ")}${many.length > 8 ? ` and ${many.length - 8} more` : ""}.`;

const MANY = {
  "all-maintenance": ({ many, every }) => ({ title: `Maintenance of ${many.length} services`, go: "Start maintenance", verb: "maintenance", each: many, fields: [FOR, COUNTED(many), REASON], fixed: { action: "on" },
    says: (v) => [`Nothing moves by itself until ${clock(after(v))} in ${listed(many)}`, "If an active member of theirs fails meanwhile, its clients are without service until somebody acts. That still pages."],
    line: (v) => `lbctl maintenance on ${named(many, every)} --for ${v.for} --reason ${quoted(v.reason)}` }),
  "all-maintenance-off": ({ many, every }) => ({ title: `End the maintenance of ${many.length} services`, go: "End maintenance", verb: "maintenance", each: many, fields: [COUNTED(many), OPTIONAL], fixed: { action: "off" },
    says: () => [`Automatic moves are possible again after clean rounds in ${listed(many)}`], line: () => `lbctl maintenance off ${named(many, every)}` }),
  "all-release": ({ many, every }) => ({ title: `Release ${many.length} services`, go: "Release", verb: "release", each: many, danger: true, fields: [COUNTED(many), OPTIONAL],
    says: () => [`Each is judged anew at once, and may move at once: ${listed(many)}`, "Find the common cause of so many failures first."], line: () => `lbctl release ${named(many, every)}` }),
};

export const ACTS = {
  ...MANY,
  failover,
  maintenance: (shown) => ({ title: `Maintenance of ${shown.name}`, go: "Start maintenance", verb: "maintenance", fields: [FOR, BEGINS, REASON],
    body: (v) => ({ action: "on", for: v.for, reason: v.reason, ...(v.begins ? { from: later(v.begins) } : {}) }),
    says: (v) => [v.begins ? `From ${moment(later(v.begins), now())} until ${moment(after(v), now())} nothing moves by itself.` : `Nothing moves by itself until ${clock(after(v))}.`, maintained(shown), "Afterwards it arms itself after clean rounds."],
    line: (v) => `lbctl maintenance on ${shown.name} --for ${v.for}${v.begins ? ` --from ${later(v.begins).slice(0, 19)}Z` : ""} --reason ${quoted(v.reason)}` }),
  "maintenance-extend": (shown) => ({ title: `Another end for the maintenance of ${shown.name}`, go: "Set the end", verb: "maintenance", fields: [FOR, REASON], fixed: { action: "extend" },
    says: (v) => [`Maintenance ends at ${clock(later(v.for))} instead of ${clock(shown.maintenance.until)}.`],
    line: (v) => `lbctl maintenance extend ${shown.name} --for ${v.for} --reason ${quoted(v.reason)}` }),
  "maintenance-off": (shown) => ({ title: `End the maintenance of ${shown.name}`, go: shown.maintenance.on ? "End maintenance" : "Call it off", verb: "maintenance", fields: [OPTIONAL], fixed: { action: "off" },
    says: () => [shown.maintenance.on ? "Counting begins anew, and automatic moves are possible again after clean rounds: the active member up, nobody else Primary, versions equal." : "The planned maintenance does not take place.",
      shown.run?.kind === "upgrade" ? "An upgrade is open: it goes on holding the service until its last step or its end." : ""],
    line: () => `lbctl maintenance off ${shown.name}` }),
  switchover: (shown, _, explained) => ({ title: `Switch ${shown.name} over`, go: "Move traffic", danger: true, verb: "switchover",
    fields: [TO(shown), { ...DRIVE, value: shown.monitor === "core" }, DRAIN, REASON],
    says: (v) => [...MOVE(shown, v.to), v.drive && shown.monitor === "core" ? `${shown.active} takes no clients while the Cores are synced and exchange their modes; the gap is reported.` : "",
      shown.monitor === "core" && !v.drive ? "A Core that is not promoted serves nobody: without driving, this is refused." : "", ...refused(against(explained, v.to, "for_switchover"))],
    line: (v) => `lbctl switchover ${shown.name} --to ${v.to}${v.drive ? " --drive" : ""}${v.drain ? " --drain" : ""}` }),
  resume: (shown, _, explained) => ({ title: `Resume ${shown.name}`, go: `Move traffic back to ${shown.primary}`, danger: true, verb: "resume", fields: [DRIVE, DRAIN, ATTEST, REASON],
    says: (v) => [`Clients are sent to ${shown.primary} again.`, v.drive ? `${shown.active} takes no clients while it is synced to ${shown.primary} and the modes are exchanged; the gap is reported.` : "", `The latch of ${shown.primary} and the lockout are cleared.`, v.attest_synced ? `Your word replaces the proof that ${shown.primary} is synced.` : "",
      !v.drive && explained?.resume && !explained.resume.open ? `Refused as it is now: ${explained.resume.rule} (${explained.resume.evidence}); opened by ${explained.resume.opens}.` : ""],
    line: (v) => `lbctl resume ${shown.name}${v.drive ? " --drive" : ""}${v.drain ? " --drain" : ""}${v.attest_synced ? " --attest-synced" : ""} --reason ${quoted(v.reason)}` }),
  "drain-end": (shown) => ({ title: `Do not move ${shown.name}`, go: "Hold, and end the drain", verb: "hold", fields: [REASON],
    says: () => [`The ${shown.drain?.verb || "planned move"} is called off, and the TTL goes back to what is configured.`, "The service is held as well: nothing moves by itself until somebody releases it."],
    line: (v) => `lbctl hold ${shown.name} --reason ${quoted(v.reason)}` }),
  "run-on": (shown) => ({ title: `Go on with the ${shown.run?.kind} of ${shown.name}`, go: "Go on", danger: true, verb: "resume", fields: [REASON], fixed: { drive: true },
    says: () => [`The next step on the Cores is tried again: after ${shown.run?.step}. Traffic moves to ${shown.run?.target} when both pages say so.`, "A failure before the move gives the active its role back."],
    line: (v) => `lbctl resume ${shown.name} --drive --reason ${quoted(v.reason)}` }),
  "run-abort": (shown) => ({ title: `Abort the ${shown.run?.kind} of ${shown.name}`, go: "Abort", danger: true, path: upgradePath(shown), fields: [REASON], fixed: { action: "abort" },
    says: () => ["The run ends where it stands; nothing more is done on the Cores.", "Their modes may be half exchanged: look at both Cores before you leave."],
    line: (v) => `lbctl upgrade ${shown.name} abort --reason ${quoted(v.reason)}` }),
  "upgrade-start": (shown) => ({ title: `Upgrade ${shown.name}`, go: "Start the upgrade", path: upgradePath(shown), fields: [REASON], fixed: { action: "start" },
    says: () => ["Maintenance begins now, before the guide's first step, and lasts until the ninth step or an abort, whatever the clock says.", maintained(shown), "Each step counts as done by what the Cores say. You do the steps; lbctl checks them and says what is missing."],
    line: (v) => `lbctl upgrade ${shown.name} start --reason ${quoted(v.reason)}` }),
  "upgrade-next": (shown, _, __, found) => {
    const row = found?.steps.find((step) => step.step === found.next), last = row?.step === found?.steps[found.steps.length - 1]?.step;
    const word = ["7", "8"].includes(row?.step) && row.missing;
    return { title: `End step ${row?.step} of the upgrade of ${shown.name}`, go: `End step ${row?.step}`, path: upgradePath(shown), fixed: { action: "next" },
      fields: [word ? { ...REASON, label: "Your word that it is done", hint: "It stands in the place of what cannot be read, beside your name." } : OPTIONAL],
      says: () => [row ? `${row.text}: the Cores are asked whether it is done.` : "", row?.missing && !word ? `Refused as it is now: ${row.missing}. ${row.todo}` : "", last ? "The upgrade is over: maintenance ends, and it arms itself after clean rounds." : ""],
      line: (v) => `lbctl upgrade ${shown.name} next${word ? ` --reason ${quoted(v.reason)}` : ""}` };
  },
  "upgrade-abort": (shown) => ({ title: `Abort the upgrade of ${shown.name}`, go: "Abort", danger: true, path: upgradePath(shown), fields: [REASON], fixed: { action: "abort" },
    says: () => ["The run ends where it stands; nothing is undone on the Cores.", "Maintenance stays on until it ends by itself or is switched off."],
    line: (v) => `lbctl upgrade ${shown.name} abort --reason ${quoted(v.reason)}` }),
  "swap-roles": (shown) => ({ title: `Swap the roles of ${shown.name}`, go: "Swap roles", verb: "swap-roles", fields: [ATTEST, REASON],
    says: () => [`${shown.active} becomes the primary, ${shown.primary} a secondary. Traffic does not move; the monitors follow at once.`, "Change the roles in the configuration file too: lbctl check prints the edit."],
    line: (v) => `lbctl swap-roles ${shown.name}${v.attest_synced ? " --attest-synced" : ""} --reason ${quoted(v.reason)}` }),
  hold: (shown) => ({ title: `Hold ${shown.name}`, go: "Hold", verb: "hold", fields: [REASON],
    says: () => ["Nothing moves by itself until somebody releases it. It has no end of its own; after eight hours it reminds every hour."],
    line: (v) => `lbctl hold ${shown.name} --reason ${quoted(v.reason)}` }),
  release: (shown) => ({ title: `Release ${shown.name}`, go: "Release", verb: "release", fields: [OPTIONAL],
    says: () => ["Automatic moves are allowed again, and judged anew at once."], line: () => `lbctl release ${shown.name}` }),
  ack: (shown) => ({ title: `Acknowledge ${shown.name}`, go: "Acknowledge", verb: "ack",
    fields: [{ name: "member", label: "Unlatch", kind: "choice", options: [["", "nobody"], ...shown.members.filter((member) => member.latched).map((member) => [member.name, member.name])] }, ATTEST, REASON],
    says: (v) => ["A lockout ends, and it is armed at once.", v.member ? `${v.member} may be chosen again; it must read Standby and be synced.` : ""],
    line: (v) => `lbctl ack ${shown.name}${v.member ? ` --member ${v.member}` : ""}${v.attest_synced ? " --attest-synced" : ""} --reason ${quoted(v.reason)}` }),
  adopt: (shown) => ({ title: `Adopt ${shown.name}`, go: "Adopt", verb: "adopt",
    fields: [{ name: "member", label: "Member", kind: "choice", options: [["", "whoever is published everywhere"], ...shown.members.map((member) => [member.name, member.name])] }, REASON],
    says: (v) => v.member ? [`${v.member} is taken as active.`, ...shown.actuators.map((item) => `${item.id} showed ${item.shows || "nothing known"} at the start; it is written where it shows something else than ${v.member}.`)]
      : ["What is published is accepted as the truth. Traffic does not move."],
    line: (v) => `lbctl adopt ${shown.name}${v.member ? ` --member ${v.member}` : ""} --reason ${quoted(v.reason)}` }),
  approve: (shown, approval) => ({ title: `Approve ${approval.id}`, go: approval.rules?.includes("second-person") ? "Say yes" : `Move traffic to ${approval.to}`, danger: true, path: `/approvals/${encodeURIComponent(approval.id)}/approve`, fields: [OPTIONAL],
    says: () => [...(approval.rules?.includes("second-person") ? [`${approval.first_yes} has asked for: ${approval.reason}`, "It is done as soon as you say yes."] : MOVE(shown, approval.to)), "Every other rule is checked again at this moment."], line: () => `lbctl approve ${approval.id}` }),
  deny: (shown, approval) => ({ title: `Deny ${approval.id}`, go: "Deny", path: `/approvals/${encodeURIComponent(approval.id)}/deny`, fields: [OPTIONAL],
    says: () => [`Traffic stays on ${shown.active}; it is not asked again in this incident.`], line: () => `lbctl deny ${approval.id}` }),
};
