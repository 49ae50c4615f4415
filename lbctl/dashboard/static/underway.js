// What has a beginning and an end: maintenance, a drain, a run on the Cores, the guide's upgrade. Each says how far it is, what it waits for, how it ends.
import { h, icon } from "./dom.js";
import { now } from "./api.js";
import { bar, command, rich, section } from "./parts.js";
import { clock, left, moment, since } from "./times.js";

const button = (act, verb, label, first) => h("button", { type: "button", class: first ? "first" : "", "data-key": verb, "data-verb": verb, onclick: () => act(verb) }, label);
const buttons = (may, ...list) => (may ? h("div", { class: "actions" }, list) : null);

export function maintenance(shown, act, may) {
  const span = shown.maintenance, at = now();
  if (!span.until) return null;
  if (!span.on) {
    return h("section", { class: "keep", "data-key": "maintenance", "aria-label": "Maintenance" },
      h("h2", {}, icon("wrench", "info"), `Maintenance begins in ${left(span.since, at)}`),
      h("p", {}, `${span.reason} · by ${span.by} · from ${moment(span.since, at)} until ${moment(span.until, at)}. Automatic moves go on until then.`),
      buttons(may, button(act, "maintenance-extend", "Another end"), button(act, "maintenance-off", "Call it off")));
  }
  return h("section", { class: "keep", "data-key": "maintenance", "aria-label": "Maintenance" },
    h("h2", {}, icon("wrench", "info"), `Maintenance ends in ${left(span.until, at)}`),
    h("p", {}, `${span.reason} · by ${span.by} · until ${clock(span.until)}. Nothing automatic happens meanwhile; looks go on.`),
    bar(span.since || span.until, span.until, at),
    buttons(may, button(act, "maintenance-extend", "Extend")));
}

export function drain(shown, act, may) {
  const found = shown.drain, at = now();
  if (!found) return null;
  const waits = found.until ? `traffic moves to ${found.target} in ${left(found.until, at)}` : "the TTL is being lowered";
  return h("section", { class: "keep", "data-key": "drain", "aria-label": "Drain" },
    h("h2", {}, icon("wait", "info"), `Drain: ${waits}`),
    h("p", {}, found.until ? `Caches may hold the old answer until ${clock(found.until)}. ` : "Then caches have to let go of the old answer. ",
      `The ${found.verb} was asked for by ${found.by} at ${clock(found.began)}; its conditions are judged again before anything moves.`),
    found.until ? bar(found.began, found.until, at) : null,
    buttons(may, button(act, "drain-end", "Do not move")));
}

// The steps of SEMANTICS section 3 (ii): for `resume --drive` and `switchover --drive` alike.
const STEPS = [["disable-clients", "no new client connections on the active"], ["last-sync", "the last sync onto the new active"], ["demote", "the active becomes secondary"],
  ["promote", "the other one becomes primary"], ["verify-roles", "both pages say so"], ["move", "traffic moves"], ["enable-clients", "client connections are allowed again"]];
const UNDOING = [["restore-demote", "the other one is secondary again"], ["restore-promote", "the active is primary again"], ["restore-clients", "client connections are allowed again"]];

export function run(shown, act, may) {
  const found = shown.run;
  if (!found || found.kind === "upgrade") return null;
  const steps = found.kind === "promote" ? [["promote", `${found.target} becomes primary`]] : found.undoing ? UNDOING : STEPS;
  const done = steps.findIndex(([name]) => name === found.step), due = found.doing || steps[done + 1]?.[0] || "";
  return section(`${found.kind} on the Cores`, "run",
    h("p", { class: "dim" }, found.source ? `From ${found.source} to ${found.target}` : `On ${found.target}`, ` · by ${found.by} · since ${clock(found.began)}${found.undoing ? " · undoing: the active gets its role back" : ""}`),
    h("ol", { class: "rules" }, steps.map(([name, text], index) => {
      const [sign, word] = index <= done ? ["ok", "done"] : name === due ? (found.failed ? ["bad", "failed"] : ["wait", "under way"]) : ["idle", "to come"];
      return h("li", { "data-key": name, class: name === due ? "fails" : "holds" }, icon(sign, sign === "wait" ? "info" : sign), h("span", { class: "offscreen" }, `${word}: `), h("b", {}, name),
        h("span", { class: "evidence" }, rich(name === due && found.failed ? found.failed : found.notes?.[name] || text)));
    })),
    found.failed ? h("p", { class: "bad" }, icon("bad"), `It has stopped after ${found.step}. Nothing goes on by itself.`) : null,
    found.failed && found.kind !== "promote" ? buttons(may, button(act, "run-on", "Go on", true), button(act, "run-abort", "Abort it")) : null,
    found.failed ? command(found.kind === "promote" ? `lbctl explain ${shown.name}` : `lbctl resume ${shown.name} --drive`) : null);
}

// The guide's nine steps while a run is open: done, due with what it misses, still to come.
export function upgrade(shown, found, act, may) {
  if (shown.run?.kind !== "upgrade") return null;
  if (!found?.open) return section("Upgrade", "upgrade", h("p", { class: "dim" }, "Asking the Cores …"));
  const done = found.steps.filter((row) => row.done).length;
  return section(`Upgrade: ${done} of ${found.steps.length} steps are done`, "upgrade",
    h("p", { class: "dim" }, `Begun by ${found.by}${shown.run.began ? `, ${since(shown.run.began, now())} ago` : ""}. A step counts as done by what the Cores say; asked ${clock(found.read)}.`),
    h("ol", { class: "rules" }, found.steps.map((row) => {
      const due = row.step === found.next, [sign, word] = row.done ? ["ok", "done"] : due ? ["arrow", "due"] : ["idle", "to come"];
      return h("li", { "data-key": row.step, class: due ? "fails" : "holds" }, icon(sign, sign === "arrow" ? "accent" : sign), h("span", { class: "offscreen" }, `${word}: `),
        h("b", {}, `${row.step}. ${row.name}`), h("span", { class: "evidence" }, rich(row.evidence || row.text)),
        due ? h("span", { class: "opens" }, row.missing ? ["waits for: ", rich(row.missing), h("br")] : "nothing is missing: it can be ended now. ", row.todo ? ["do: ", rich(row.todo)] : "") : null);
    })),
    buttons(may, button(act, "upgrade-next", `End step ${found.next}`, !found.steps.find((row) => row.step === found.next)?.missing), button(act, "upgrade-abort", "Abort")),
    command(`lbctl upgrade ${shown.name} next`));
}
