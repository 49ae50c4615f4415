// What an operator can do from here: a form that says the consequence before anything happens, asks for the reason, and shows the same command
// for the terminal. A refusal is shown with its rule, its evidence and what opens it; nothing is forced from a page.
import { h, icon, show } from "./dom.js";
import { now, read, service, token, write } from "./api.js";
import { command, facts, rich } from "./depth.js";
import { clock } from "./times.js";

const REASON = { name: "reason", label: "Reason", kind: "text", need: true, hint: "It is kept in the journal beside your name." };
const OPTIONAL = { ...REASON, need: false, label: "Reason (optional)" };
const other = (shown) => shown.members.filter((member) => member.name !== shown.active);
const TO = (shown, hint) => ({ name: "to", label: "To", kind: "choice", hint, value: best(shown),
  options: other(shown).map((member) => [member.name, `${member.name} · ${member.verdict}, ${member.health}${member.latched ? ", latched" : ""}${member.needs_resync ? ", needs resync" : ""}`]) });
const FOR = { name: "for", label: "For", kind: "choice", options: ["30m", "1h", "2h", "4h", "8h"].map((text) => [text, text]), value: "1h" };
const DRIVE = { name: "drive", label: "Drive the Cores over SSH (clients off, last sync, modes exchanged, verified, traffic, clients on)", kind: "check" };
const DRAIN = { name: "drain", label: "Lower the TTL first and wait until the old one has passed", kind: "check" };
const ATTEST = { name: "attest_synced", label: "I attest that it holds everything that was written", kind: "check", hint: "Only if you have checked it: what is missing there is lost." };

// Rows of the gate that an operator's word replaces (SEMANTICS section 3).
const WAIVED = new Set(["not-in-maintenance", "not-locked-out", "not-held", "automation-on", "armed", "no-approval-needed", "not-latched", "site-not-cut", "within-mass-move", "candidate-confirmed"]);

// What stands in the way of a move to that member, as the gate sees it at this moment.
function inTheWay(shown, to, planned) {
  const rows = shown.gate?.find((candidate) => candidate.member === to)?.rules.filter((row) => !row.holds && !WAIVED.has(row.rule) && !(planned && row.rule === "active-down")) || [];
  return rows.map((row) => `Refused as it is now: ${row.rule} (${row.evidence}).`);
}

const best = (shown) => (other(shown).find((member) => member.verdict === "standby" && !member.latched && member.approval !== "manual") || other(shown)[0])?.name;

const MOVE = (shown, to) => [
  `Clients are sent to ${to || "the chosen member"} instead of ${shown.active}.`,
  `${shown.active} is latched and has to be synced again before it may serve.`,
  "Afterwards nobody can take over automatically, until you resume or swap the roles.",
];

const ACTS = {
  maintenance: (shown) => ({ title: `Maintenance of ${shown.name}`, go: "Start maintenance", verb: "maintenance", fields: [FOR, REASON], fixed: { action: "on" },
    says: (v) => [`Nothing moves by itself until ${clock(new Date(now() + seconds(v.for) * 1000).toISOString())}.`, `If ${shown.active || "the active member"} fails meanwhile, its clients are without service until somebody acts. That still pages.`, "Afterwards it arms itself after clean rounds."],
    line: (v) => `lbctl maintenance on ${shown.name} --for ${v.for} --reason ${quoted(v.reason)}` }),
  "maintenance-extend": (shown) => ({ title: `More time for ${shown.name}`, go: "Extend", verb: "maintenance", fields: [FOR, REASON], fixed: { action: "extend" },
    says: (v) => [`Maintenance ends at ${clock(new Date(now() + seconds(v.for) * 1000).toISOString())} instead of ${clock(shown.maintenance.until)}.`],
    line: (v) => `lbctl maintenance extend ${shown.name} --for ${v.for} --reason ${quoted(v.reason)}` }),
  "maintenance-off": (shown) => ({ title: `End the maintenance of ${shown.name}`, go: "End maintenance", verb: "maintenance", fields: [OPTIONAL], fixed: { action: "off" },
    says: () => ["Counting begins anew, and automatic moves are possible again after clean rounds: the active member up, nobody else Primary, versions equal."],
    line: () => `lbctl maintenance off ${shown.name}` }),
  switchover: (shown) => ({ title: `Switch ${shown.name} over`, go: "Move traffic", danger: true, verb: "switchover", fields: [TO(shown), DRIVE, DRAIN, REASON],
    says: (v) => [...MOVE(shown, v.to), shown.monitor === "core" && !v.drive ? "A Core that is not promoted serves nobody: without driving, this is refused." : "", ...inTheWay(shown, v.to, true)],
    line: (v) => `lbctl switchover ${shown.name} --to ${v.to}${v.drive ? " --drive" : ""}${v.drain ? " --drain" : ""}` }),
  failover: (shown) => ({ title: `Fail ${shown.name} over`, go: "Move traffic", danger: true, verb: "failover", fields: [TO(shown, "For a planned move between healthy members use Switch over."), REASON],
    says: (v) => [...MOVE(shown, v.to), "Every safety rule that is not yours to decide is checked; a refusal changes nothing.", ...inTheWay(shown, v.to, false)],
    line: (v) => `lbctl failover ${shown.name} --to ${v.to} --reason ${quoted(v.reason)}` }),
  resume: (shown, _, explained) => ({ title: `Resume ${shown.name}`, go: `Move traffic back to ${shown.primary}`, danger: true, verb: "resume", fields: [DRIVE, DRAIN, ATTEST, REASON],
    says: (v) => [`Clients are sent to ${shown.primary} again.`, v.drive ? `${shown.active} takes no clients while it is synced to ${shown.primary} and the modes are exchanged; the gap is reported.` : "", `The latch of ${shown.primary} and the lockout are cleared.`, v.attest_synced ? `Your word replaces the proof that ${shown.primary} is synced.` : "",
      !v.drive && explained?.resume && !explained.resume.open ? `Refused as it is now: ${explained.resume.rule} (${explained.resume.evidence}). It needs ${explained.resume.opens}.` : ""],
    line: (v) => `lbctl resume ${shown.name}${v.drive ? " --drive" : ""}${v.drain ? " --drain" : ""}${v.attest_synced ? " --attest-synced" : ""} --reason ${quoted(v.reason)}` }),
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
    says: (v) => [v.member ? `${v.member} is taken as active, and places that show something else are written.` : "What is published is accepted as the truth. Traffic does not move."],
    line: (v) => `lbctl adopt ${shown.name}${v.member ? ` --member ${v.member}` : ""} --reason ${quoted(v.reason)}` }),
  approve: (shown, approval) => ({ title: `Approve ${approval.id}`, go: `Move traffic to ${approval.to}`, danger: true, path: `/approvals/${encodeURIComponent(approval.id)}/approve`, fields: [OPTIONAL],
    says: () => [...MOVE(shown, approval.to), "Every other rule is checked again at this moment."], line: () => `lbctl approve ${approval.id}` }),
  deny: (shown, approval) => ({ title: `Deny ${approval.id}`, go: "Deny", path: `/approvals/${encodeURIComponent(approval.id)}/deny`, fields: [OPTIONAL],
    says: () => [`Traffic stays on ${shown.active}; it is not asked again in this incident.`], line: () => `lbctl deny ${approval.id}` }),
};

const seconds = (text) => parseFloat(text) * { m: 60, h: 3600 }[text.slice(-1)];
const quoted = (text) => `'${(text || "…").replaceAll("'", "'\\''")}'`;
const place = () => document.getElementById("dialog");

export function close() {
  place().close();
}

// Opens the form of one action. `current` gives the service as it is now, `done` is called after it has been answered.
export function open(verb, current, subject, done, explained) {
  const act = ACTS[verb](current(), subject, explained);
  const seen = current().revision;
  const values = Object.fromEntries(act.fields.map((field) => [field.name, field.value ?? field.options?.[0]?.[0] ?? (field.kind === "check" ? false : "")]));
  const state = { busy: false, answer: null };
  const redraw = () => draw(act, values, state, redraw, () => send(act, current(), seen, values, state, redraw, done));
  redraw();
  place().showModal();
  (place().querySelector("[data-field=reason]") || place().querySelector("button"))?.focus();
}

function draw(act, values, state, redraw, submit) {
  show(place(), h("form", { method: "dialog", "data-key": act.title, onsubmit: (event) => { event.preventDefault(); if (!state.busy) submit(); } },
    h("h2", { id: "dialog-title" }, act.title),
    h("div", { class: "consequence" }, h("h3", {}, "What will happen"), h("ul", {}, act.says(values).filter(Boolean).map((text) => h("li", {}, rich(text))))),
    act.fields.map((field) => entry(field, values, redraw)),
    h("p", { class: "dim" }, "The same in a terminal:"), command(act.line(values)),
    token.get() ? null : h("p", { class: "need" }, icon("lock", "warn"), "Acting needs an operator's token: enter it first (“Token”, above)."),
    state.answer,
    h("div", { class: "actions end" },
      h("button", { type: "button", onclick: close }, state.answer?.classList.contains("done") ? "Close" : "Cancel"),
      state.answer?.classList.contains("done") ? null : h("button", { type: "submit", class: act.danger ? "danger" : "first", disabled: state.busy || null, "data-go": "" }, state.busy ? "Asking …" : act.go))));
}

function entry(field, values, redraw) {
  const id = `field-${field.name}`;
  const set = (value) => { values[field.name] = value; redraw(); };
  const hint = field.hint ? h("span", { class: "hint", id: `${id}-hint` }, field.hint) : null;
  if (field.kind === "check") {
    return h("label", { class: "check", "data-key": field.name }, h("input", { type: "checkbox", "data-field": field.name, onchange: (event) => set(event.target.checked) }), h("span", {}, field.label, hint));
  }
  const input = field.kind === "choice"
    ? h("select", { id, "data-field": field.name, onchange: (event) => set(event.target.value) }, field.options.map(([value, label]) => h("option", { value, selected: value === values[field.name] || null }, label)))
    : h("input", { id, type: "text", "data-field": field.name, required: field.need || null, maxlength: 500, autocomplete: "off", oninput: (event) => set(event.target.value) });
  return h("label", { class: "entry", "data-key": field.name, for: id }, h("span", {}, field.label), input, hint);
}

async function send(act, shown, seen, values, state, redraw, done) {
  state.busy = true;
  state.answer = null;
  redraw();
  const body = { ...(act.fixed || {}) };
  for (const field of act.fields) if (values[field.name] !== "" && values[field.name] !== false) body[field.name] = values[field.name];
  try {
    const outcome = await write(act.path || service(shown.name, `/${act.verb}`), body, seen);
    state.answer = h("div", { class: "answer done", role: "status", "data-key": "answer" }, icon("ok"), ` ${outcome.message || "Done."}`, outcome.code === 6 ? " Accepted; not seen everywhere yet." : "");
  } catch (problem) {
    state.answer = refusal(problem, shown);
  }
  state.busy = false;
  redraw();
  await done();
}

function refusal(problem, shown) {
  const found = problem.document || {};
  const title = { 401: "Who are you?", 403: "Not allowed", 409: "Refused by a safety rule", 412: "Somebody changed it first", 429: "Too many attempts" }[problem.status] || "It did not work";
  return h("div", { class: "answer refused", role: "alert", "data-key": "answer" }, h("h3", {}, icon("bad"), title, found.rule ? [": ", h("span", { class: "mono" }, found.rule)] : ""),
    h("p", {}, rich(problem.message)), facts(found.evidence || {}),
    problem.status === 412 ? h("p", {}, "Close this, look at what it is now, and ask again.") : null,
    problem.status === 409 ? command(`lbctl explain ${shown.name}`) : null);
}

// The token: asked for, tried at once, kept in this tab only.
export function askToken(changed) {
  const state = { answer: null };
  const redraw = () => show(place(), h("form", { method: "dialog", "data-key": "token", onsubmit: async (event) => {
    event.preventDefault();
    const before = token.get();
    token.set(place().querySelector("input").value.trim());
    try {
      await read("/services?brief=true");
      close();
      changed();
    } catch (problem) {
      token.set(before);
      state.answer = h("div", { class: "answer refused", role: "alert" }, icon("bad"), ` ${problem.message}`);
      redraw();
    }
  } },
  h("h2", { id: "dialog-title" }, "Your token"),
  h("p", {}, "It is kept in this tab until you close it, and sent to this controller only."),
  h("label", { class: "entry" }, h("span", {}, "Token"), h("input", { type: "password", autocomplete: "off", spellcheck: "false" })),
  h("p", { class: "dim" }, "Make one on the controller's host:"), command("lbctl token create NAME --role operator"),
  state.answer,
  h("div", { class: "actions end" },
    token.get() ? h("button", { type: "button", onclick: () => { token.set(""); close(); changed(); } }, "Forget it") : null,
    h("button", { type: "button", onclick: close }, "Cancel"), h("button", { type: "submit", class: "first" }, "Use it"))));
  redraw();
  place().showModal();
  place().querySelector("input").focus();
}

const KEYS = [["j  k  ↓  ↑", "next, previous service"], ["Enter", "open it"], ["Esc", "back, or close"], ["/", "filter"], ["m", "maintenance"], ["t", "dark, light, as the system"], ["?", "this"]];

export function keys() {
  show(place(), h("form", { method: "dialog", "data-key": "keys" }, h("h2", { id: "dialog-title" }, "Keys"),
    h("dl", { class: "keys" }, KEYS.map(([key, means]) => h("div", {}, h("dt", { class: "mono" }, key), h("dd", {}, means)))),
    h("div", { class: "actions end" }, h("button", { type: "submit", class: "first" }, "Close"))));
  place().showModal();
}
