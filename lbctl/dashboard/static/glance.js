// All services at a glance: what needs somebody first, then the file's order.
import { h, icon } from "./dom.js";
import { RANK, standing, verdict } from "./words.js";
import { left } from "./times.js";
import { now } from "./api.js";

const ROWS_MAX = 400;

export function tone(shown) {
  const own = standing(shown)[0];
  if (shown.approvals.length && own !== "bad") return "bad";
  const alarmed = (shown.alerts || []).length > 0;
  return own === "ok" && alarmed ? "info" : own;
}

export function ordered(services, filter) {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (shown) => [shown.name, shown.state, shown.active, ...shown.members.map((member) => member.name), shown.maintenance.on ? "maintenance" : ""].join(" ").toLowerCase();
  const kept = services.filter((shown) => words.every((word) => text(shown).includes(word)));
  return kept.map((shown, index) => [RANK[tone(shown)], index, shown]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , shown]) => shown);
}

// Short facts beside the state: each a word with its sign, never a colour alone.
export function chips(shown) {
  const at = now();
  const made = [];
  for (const approval of shown.approvals) made.push(["hand", "bad", `needs a yes: ${approval.to}`, `expires in ${left(approval.expires, at)}`]);
  if (shown.maintenance.on) made.push(["wrench", "info", `maintenance ${left(shown.maintenance.until, at)}`, `by ${shown.maintenance.by}: ${shown.maintenance.reason}`]);
  else if (shown.maintenance.until) made.push(["wrench", "idle", `maintenance planned`, `by ${shown.maintenance.by}: ${shown.maintenance.reason}`]);
  if (shown.held) made.push(["pause", "warn", "held", shown.held.reason ? `by ${shown.held.by}: ${shown.held.reason}` : ""]);
  if (shown.locked_out_until && Date.parse(shown.locked_out_until) > at) made.push(["lock", "info", `lockout ${left(shown.locked_out_until, at)}`, "after an automatic failover: another one needs a yes"]);
  else if (shown.locked_out_until) made.push(["lock", "info", "lockout", "its time is over; it ends once the active member has been up for five minutes"]);
  if (shown.automation === "observe") made.push(["info", "info", "observing", "lbctl decides and records, and moves nothing"]);
  if (shown.run) made.push(["wait", shown.run.failed ? "bad" : "info", `${shown.run.kind}: ${shown.run.step}`, shown.run.failed || shown.run.reason || ""]);
  if (shown.unsaved) made.push(["bad", "bad", "cannot save", shown.unsaved]);
  return made.map(([sign, colour, word, title]) => h("span", { class: `chip ${colour}`, title }, icon(sign, colour), word));
}

const DOTS_MAX = 6;

function dots(shown) {
  if (shown.members.length > DOTS_MAX) {
    const bad = shown.members.filter((member) => member.health === "down");
    return h("span", { class: "dots" }, h("span", { class: "dot" }, icon(bad.length ? "warn" : "ok"), h("span", {}, `${shown.members.length - bad.length} of ${shown.members.length} are up`)),
      bad.slice(0, 3).map((member) => h("span", { class: "dot" }, icon("bad"), h("span", { class: "mono" }, member.name))), bad.length > 3 ? h("span", {}, `and ${bad.length - 3} more`) : null);
  }
  return h("span", { class: "dots" }, shown.members.map((member) => {
    const [colour, word] = verdict(member);
    return h("span", { class: `dot ${member.active ? "active" : ""}`, title: `${member.name}: ${word}${member.active ? ", has the traffic" : ""}` },
      member.active ? icon("arrow", "accent") : null, icon(colour), h("span", { class: "mono" }, member.name));
  }));
}

export function glance(services, filter, selected, choose) {
  const all = ordered(services, filter), rows = all.slice(0, ROWS_MAX);
  const more = all.length > ROWS_MAX ? [h("p", { class: "empty", "data-key": "more" }, `… and ${all.length - ROWS_MAX} more: filter by name, state or member.`)] : [];
  if (!rows.length) return [h("p", { class: "empty", "data-key": "none" }, services.length ? "No service matches." : "No services yet.")];
  return [...rows.map((shown) => {
    const [colour, word] = standing(shown);
    return h("a", { class: `row ${colour}`, href: `#/service/${encodeURIComponent(shown.name)}`, "data-key": shown.name, "aria-current": shown.name === selected ? "true" : null,
      onclick: () => choose(shown.name) },
      h("span", { class: "line" }, icon(colour), h("b", { class: "name" }, shown.name), h("span", { class: `word ${colour}` }, word)),
      h("span", { class: "line dim" }, dots(shown)),
      chips(shown).length ? h("span", { class: "line chips" }, chips(shown)) : null);
  }), ...more];
}

// What is done to all that the filter leaves. Folded away: nobody shall do this by a slip.
export function together(services, filter, act) {
  const many = ordered(services, filter);
  if (many.length < 2) return [];
  const kept = many.filter((shown) => shown.maintenance.until), free = many.filter((shown) => !shown.maintenance.until);
  const stopped = many.filter((shown) => shown.held || (shown.alerts || []).some((alert) => alert.kind === "MassMoveHeld"));
  const button = (verb, label, some) => (some.length ? h("button", { type: "button", "data-key": verb, "data-verb": verb, onclick: () => act(verb, some.map(({ name, revision }) => ({ name, revision }))) }, `${label} (${some.length})`) : null);
  return [h("details", { "data-key": "together" }, h("summary", {}, `All ${many.length} ${filter ? "that match" : "services"} …`),
    h("div", { class: "actions" }, button("all-maintenance", "Maintenance", free), button("all-maintenance-off", "End maintenance", kept), button("all-release", "Release", stopped)))];
}

export function summary(services) {
  if (!services.length) return [];
  const count = (test) => services.filter(test).length;
  const bad = count((shown) => tone(shown) === "bad"), warn = count((shown) => tone(shown) === "warn");
  const kept = count((shown) => shown.maintenance.on), fine = count((shown) => standing(shown)[0] === "ok");
  const part = (sign, colour, number, word) => (number ? h("span", { class: `count ${colour}` }, icon(sign, colour), `${number} ${word}`) : null);
  return [part("bad", "bad", bad, bad === 1 ? "needs you" : "need you"), part("warn", "warn", warn, "to look at"), part("wrench", "info", kept, "in maintenance"), part("ok", "ok", fine, "normal")];
}
