// One service in depth, in the order in which it is asked at night: what is it, why, what would happen, what to type; then the evidence.
import { h, icon } from "./dom.js";
import { now } from "./api.js";
import { advice, line, page, state, verdict } from "./words.js";
import { chips } from "./glance.js";
import { latency, typical } from "./chart.js";
import { clock, day, left, millis, moment, since, span } from "./times.js";

const code = (text) => h("code", {}, text);

// What stands between backticks is a command or a page's words.
export const rich = (text) => String(text).split("`").map((part, index) => (index % 2 ? code(part) : part));

// Facts as a list; what stands one level deeper is listed beside the rest, by its own name.
export function facts(object) {
  const flat = Object.entries(object).flatMap(([name, value]) => (value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [[name, value]]));
  const kept = flat.filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const text = (value) => (typeof value === "number" && value > 1e9 && value < 5e9 ? new Date(value * 1000).toISOString() : typeof value === "string" ? rich(value) : Array.isArray(value) ? value.map((one) => (typeof one === "object" ? JSON.stringify(one) : one)).join(", ") : JSON.stringify(value));
  return kept.length ? h("dl", { class: "facts" }, kept.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "mono" }, text(value))))) : null;
}

export function depth(shown, more, act) {
  return [
    h("article", { class: "service", "data-key": shown.name },
      head(shown, act),
      shown.approvals.map((approval) => asked(shown, approval, act)),
      maintenance(shown, act),
      upgrade(shown, more.upgrade),
      next(shown, more.explain),
      h("div", { class: "columns", "data-key": "columns" },
        h("div", { class: "left" }, members(shown), shown.gate?.length ? gate(shown) : null, ledger(shown), readiness(more.readiness)),
        h("div", { class: "right" }, timeline(more, act)))),
  ];
}

function section(title, id, ...content) {
  return h("section", { class: `part ${id}`, "data-key": id, "aria-label": title }, h("h2", {}, title), content);
}

function head(shown, act) {
  const [colour, word, means] = state(shown.state);
  const others = (shown.conditions || []).filter((name) => name !== shown.state);
  const at = now();
  const alerts = (shown.alerts || []).filter((alert) => alert.kind !== "ApprovalPending");
  const serving = shown.kind === "pool" ? shown.answering : shown.active ? [shown.active] : [];
  return h("header", { class: `head ${colour}`, "data-key": "head" },
    h("div", { class: "headline" },
      h("a", { class: "back quiet", href: "#/", "aria-label": "All services" }, "‹"),
      h("h1", {}, shown.name),
      h("span", { class: `badge ${colour}` }, icon(colour), word),
      others.map((name) => h("span", { class: `badge small ${state(name)[0]}`, title: state(name)[2] }, icon(state(name)[0]), state(name)[1])),
      chips({ ...shown, approvals: [] })),
    h("p", { class: "why" }, sentence(shown.reason) || means),
    shown.reason && shown.state !== "normal" ? h("p", { class: "means" }, means) : null,
    h("p", { class: "where" }, icon("arrow", "accent"), "Clients are sent to ", serving.length ? serving.map((name, index) => [index ? ", " : "", h("b", { class: "mono" }, name)]) : h("b", {}, "nobody that lbctl knows of"),
      shown.moved_at ? [" since ", h("span", { class: "mono" }, moment(shown.moved_at, at)), `, ${since(shown.moved_at, at)} ago`] : "",
      h("span", { class: "dim" }, ` · epoch ${shown.epoch} · revision ${shown.revision}`)),
    alerts.length ? h("ul", { class: "alerts" }, alerts.map((alert) => h("li", { "data-key": `${alert.kind}${alert.member}` }, icon("warn"), h("b", {}, alert.kind), " ", rich(alert.text)))) : null,
    buttons(shown, act));
}

// A sentence begins with a capital, a member's name does not.
const sentence = (text) => (text ? `${/^(traffic|nothing|the|an?|no) /.test(text) ? text[0].toUpperCase() : text[0]}${text.slice(1)}.` : "");

function buttons(shown, act) {
  const away = shown.active && shown.active !== shown.primary;
  const known = shown.active && shown.state !== "uninitialised", failing = isDown(shown);
  const list = [
    [shown.maintenance.on ? "maintenance-off" : "maintenance", shown.maintenance.on ? "End maintenance" : "Maintenance", true],
    ["switchover", "Switch over", known && shown.kind !== "pool" && shown.members.length > 1 && !away && !failing],
    ["resume", "Resume", known && away, true],
    ["swap-roles", "Swap roles", known && away],
    ["failover", "Fail over", known && shown.kind !== "pool" && shown.members.length > 1],
    [shown.held ? "release" : "hold", shown.held ? "Release" : "Hold", true],
    ["ack", "Acknowledge", shown.locked_out_until || shown.state === "re-arming" || shown.members.some((member) => member.latched)],
    ["adopt", "Adopt", shown.state === "uninitialised", true],
  ];
  return h("div", { class: "actions" }, list.filter(([, , offered]) => offered).map(([verb, label, , first]) =>
    h("button", { type: "button", class: first ? "first" : "", "data-key": verb, "data-verb": verb, onclick: () => act(verb) }, label)));
}

const isDown = (shown) => shown.members.some((member) => member.active && member.health === "down");

function asked(shown, approval, act) {
  return h("section", { class: "ask", "data-key": `ask-${approval.id}`, role: "alert" },
    h("h2", {}, icon("hand", "bad"), approval.rules?.includes("second-person") ? "A second person's yes is needed" : `May traffic move to ${approval.to}?`),
    h("p", {}, approval.reason, approval.rules?.length ? h("span", { class: "dim" }, ` · only a person may say yes to: ${approval.rules.join(", ")}`) : ""),
    h("p", { class: "dim" }, `${approval.id} · asked ${clock(approval.asked)} · expires in ${left(approval.expires, now())}${approval.first_yes ? ` · first yes by ${approval.first_yes}` : ""}`),
    h("div", { class: "actions" },
      h("button", { type: "button", class: "first", "data-verb": "approve", onclick: () => act("approve", approval) }, "Approve"),
      h("button", { type: "button", "data-verb": "deny", onclick: () => act("deny", approval) }, "Deny")));
}

function maintenance(shown, act) {
  const span_ = shown.maintenance;
  if (!span_.until) return null;
  const at = now(), begun = span_.on;
  const whole = Date.parse(span_.until) - Date.parse(span_.since || span_.until), gone = Math.min(1, Math.max(0, (at - Date.parse(span_.since || at)) / (whole || 1)));
  return h("section", { class: "keep", "data-key": "maintenance" },
    h("h2", {}, icon("wrench", "info"), begun ? `Maintenance ends in ${left(span_.until, at)}` : `Maintenance begins in ${left(span_.since, at)}`),
    h("p", {}, `${span_.reason} · by ${span_.by} · until ${clock(span_.until)}. Nothing automatic happens meanwhile; looks go on.`),
    begun ? h("svg", { class: "bar-left", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
      h("rect", { x: 0, y: 0, width: 100, height: 4, class: "all" }), h("rect", { x: 0, y: 0, width: (gone * 100).toFixed(2), height: 4, class: "gone" })) : null,
    h("div", { class: "actions" }, h("button", { type: "button", "data-verb": "maintenance-extend", onclick: () => act("maintenance-extend") }, "Extend")));
}

// The guide's nine steps while a run is open: done, due with what it misses, still to come.
function upgrade(shown, run) {
  if (!run?.open) return null;
  return section("Upgrade", "upgrade",
    h("ol", { class: "rules" }, run.steps.map((row) => {
      const [sign, word] = row.done ? ["ok", "done"] : row.step === run.next ? ["arrow", "due"] : ["idle", "to come"];
      return h("li", { "data-key": row.step, class: row.step === run.next ? "fails" : "holds" }, icon(sign, sign === "arrow" ? "accent" : sign), h("span", { class: "offscreen" }, `${word}: `),
        h("b", {}, `${row.step}. ${row.name}`), h("span", { class: "evidence" }, rich(row.evidence || row.text)),
        row.step === run.next ? h("span", { class: "opens" }, rich(row.missing ? `misses: ${row.missing}` : row.todo || "")) : null);
    })), command(`lbctl upgrade ${shown.name} next`));
}

function next(shown, explained) {
  const ways = advice(shown, explained);
  const would = isDown(shown) ? null : explained?.if_active_failed;
  if (!ways.length && !would) return null;
  return section(ways.length ? "What to do" : "If the active member failed now", "next",
    ways.length ? h("ol", { class: "ways" }, ways.map((way) => h("li", {}, h("span", {}, rich(way.text)), way.command ? command(way.command) : null))) : null,
    would ? h("p", { class: "would" }, icon(would.moves_to && !would.asks ? "ok" : "warn"),
      ways.length ? `If the active member failed now, ${would.text}.` : sentence(would.text)) : null);
}

export function command(text) {
  return h("span", { class: "command" }, code(text), h("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${text}`, onclick: (event) => copy(event, text) }, "copy"));
}

async function copy(event, text) {
  const button = event.currentTarget;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "copied";
  } catch {
    button.textContent = "select it";
  }
}

function members(shown) {
  return section("Members", "members", h("div", { class: "cards" }, shown.members.map((member) => one(shown, member))));
}

function one(shown, member) {
  const [colour, word] = verdict(member);
  const at = now();
  const flags = [
    member.latched && ["lock", "warn", "latched", "it lost the traffic; not chosen again until somebody says so"],
    member.needs_resync && ["warn", "warn", "needs resync", "writes happened elsewhere; it has to be synced before it may serve"],
    member.active && !member.promoted && ["wait", "warn", "not promoted yet", "it has the traffic and has not shown Mode: Primary with a good status page"],
    member.approval === "manual" && ["hand", "idle", "by approval only", "never taken automatically"],
  ].filter(Boolean);
  const known = [
    member.site && ["site", member.site],
    Object.values(member.address || {}).flat().length && ["address", Object.values(member.address).flat().join(", ")],
    member.syncs_from && ["syncs from", member.syncs_from],
    member.synced_at && ["last sync", `${since(member.synced_at, at)} ago`],
    member.certificate_ends && ["certificate", `${left(member.certificate_ends, at)} left`],
    Math.abs(member.clock_skew_s || 0) > 5 && ["clock", `${member.clock_skew_s.toFixed(0)} s off`],
  ].filter(Boolean);
  return h("div", { class: `member ${colour} ${member.active ? "is-active" : ""}`, "data-key": member.name },
    h("div", { class: "member-head" },
      h("b", { class: "mono" }, member.name), h("span", { class: "dim" }, member.role),
      member.active ? h("span", { class: "traffic" }, icon("arrow", "accent"), "traffic") : null),
    h("p", { class: "verdict" }, icon(colour), h("b", { class: colour }, word), h("span", {}, ` · ${member.health}`),
      member.reason !== "ok" ? h("span", { class: "reason mono" }, member.reason) : null,
      member.since ? h("span", { class: "dim" }, ` for ${since(member.since, at)}`) : null),
    member.detail && member.reason !== "ok" ? h("p", { class: "detail mono" }, member.detail) : null,
    flags.length ? h("p", { class: "chips" }, flags.map(([sign, tone_, text, title]) => h("span", { class: `chip ${tone_}`, title }, icon(sign, tone_), text))) : null,
    h("div", { class: "pages" }, Object.entries(member.monitors).map(([name, monitor]) => looks(shown, member, name, monitor))),
    facts(Object.fromEntries(known)));
}

function looks(shown, member, name, monitor) {
  const [colour, word] = page(monitor);
  const decisive = (member.decisive || "") === name;
  // the standby's status page is not expected to serve: its failure is a fact, not an alarm
  const calm = !decisive && monitor.verdict === "failed" && !member.active;
  const usual = typical(shown.name, member.name, name);
  return h("div", { class: `page ${decisive ? "decisive" : ""}`, "data-key": name },
    h("div", { class: "page-line", title: monitor.detail || "" },
      icon(calm ? "idle" : colour), h("span", { class: "mono" }, name), h("span", { class: calm ? "dim" : colour }, word),
      monitor.reason !== "ok" ? h("span", { class: "mono dim" }, monitor.reason) : null,
      monitor.void ? h("span", { class: "warn" }, `void: ${monitor.void}`) : null,
      monitor.failed_in_a_row > 1 ? h("span", { class: "dim" }, `${monitor.failed_in_a_row}× in a row`) : null,
      h("span", { class: "figures" }, `${millis(usual ?? monitor.duration_s)} · ${monitor.age_s === null || monitor.age_s === undefined ? "no look yet" : `${span(monitor.age_s)} old`}`)),
    latency(shown.name, member.name, name));
}

function gate(shown) {
  return section("The gate", "gate", h("p", { class: "dim" }, "Traffic moves by itself only when every row holds. The first row is the trigger: while the active member serves, it does not hold."),
    shown.gate.map((candidate) => {
      const failing = candidate.rules.filter((row) => !row.holds && row.rule !== "active-down" && row.rule !== "candidate-confirmed");
      const trigger = candidate.rules.filter((row) => !row.holds && (row.rule === "active-down" || row.rule === "candidate-confirmed"));
      const word = candidate.open ? ["ok", "open: it takes over now"] : failing.length ? ["warn", `${failing.length} ${failing.length === 1 ? "row does" : "rows do"} not hold`] : ["ok", "ready: waits for the active member to fail"];
      return h("div", { class: "candidate", "data-key": candidate.member },
        h("h3", {}, h("span", { class: "mono" }, candidate.member), h("span", { class: word[0] }, icon(word[0]), word[1])),
        h("ul", { class: "rules" }, failing.map((row) => rule(row, "bad", "no")), trigger.map((row) => rule(row, "wait", "not now"))),
        h("details", { "data-key": "holding" }, h("summary", {}, `${candidate.rules.filter((row) => row.holds).length} rows hold`),
          h("ul", { class: "rules" }, candidate.rules.filter((row) => row.holds).map((row) => rule(row, "ok", "holds")))));
    }));
}

function rule(row, sign, word) {
  return h("li", { class: row.holds ? "holds" : "fails", "data-key": row.rule },
    icon(sign, sign === "wait" ? "idle" : sign), h("span", { class: "offscreen" }, `${word}: `), h("b", { class: "mono" }, row.rule), h("span", { class: "evidence" }, rich(row.evidence)),
    !row.holds && row.opens ? h("span", { class: "opens" }, "needs: ", rich(row.opens)) : null);
}

function ledger(shown) {
  if (!shown.actuators.length) return section("Ledger", "ledger", h("p", { class: "dim" }, "Nothing is written for this service."));
  return section("Ledger", "ledger", h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Where", "Wanted", "Applied", "Verified", "", "Error"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, shown.actuators.map((item) => h("tr", { "data-key": item.id },
      h("td", { class: "mono" }, item.id, item.shows ? h("span", { class: "dim" }, ` shows ${item.shows}`) : ""),
      h("td", { class: "number" }, item.wanted), h("td", { class: `number ${item.applied < item.wanted ? "warn" : ""}` }, item.applied), h("td", { class: `number ${item.verified < item.wanted ? "warn" : ""}` }, item.verified),
      h("td", {}, icon(item.in_sync ? "ok" : "warn"), item.in_sync ? " in sync" : item.behind_since ? ` behind for ${since(item.behind_since, now())}` : " behind"),
      h("td", { class: item.error ? "error" : "dim" }, item.error || "–")))))));
}

// holds: yes, no, unknown. What is urgent and not kept stands first.
const HOLDS = { yes: ["ok", 2, "kept"], no: ["warn", 0, "not kept"], unknown: ["idle", 1, "not known"] };

function readiness(report) {
  const rows = report?.practices;
  if (!rows?.length) return null;
  const order = (row) => (HOLDS[row.holds] || HOLDS.unknown)[1] * 2 - (row.urgent && row.holds === "no" ? 1 : 0);
  const open = rows.filter((row) => row.holds !== "yes").sort((a, b) => order(a) - order(b)), kept = rows.filter((row) => row.holds === "yes");
  const list = (some) => h("ul", { class: "rules" }, some.map((row) => {
    const [sign, , word] = HOLDS[row.holds] || HOLDS.unknown;
    return h("li", { "data-key": row.practice, class: row.holds === "yes" ? "holds" : "fails", title: row.text || "" },
      icon(sign === "warn" && row.urgent ? "bad" : sign), h("span", { class: "offscreen" }, `${word}: `), h("b", {}, row.practice), h("span", { class: "evidence" }, rich(row.evidence || "")),
      row.advice ? h("span", { class: "opens" }, rich(row.advice)) : null);
  }));
  return section("Readiness", "readiness",
    h("p", {}, icon(report.ready ? "ok" : "warn"), h("span", {}, report.ready ? "The standby would take over now" : "The standby would not take over now", `; ${report.kept} of ${report.of} best practices are kept`)),
    open.length ? list(open) : null,
    kept.length ? h("details", { "data-key": "kept" }, h("summary", {}, `${kept.length} kept`), list(kept)) : null);
}

const FIRST = 14;
const GROUPS = [["all", "all"], ["moves", "moves"], ["alerts", "alerts"], ["people", "people"], ["looks", "looks"]];

function timeline(more, act) {
  const chosen = more.group || "all";
  const steps = more.steps.filter((step) => chosen === "all" ? line(step)[1] !== "looks" || step.kind === "look" : line(step)[1] === chosen);
  let last = "";
  return section("Timeline", "timeline",
    h("div", { class: "groups", role: "group", "aria-label": "Which lines" }, GROUPS.map(([name, label]) =>
      h("button", { type: "button", class: "quiet", "aria-pressed": String(name === chosen), onclick: () => act("group", name) }, label))),
    steps.length ? h("ol", { class: "steps" }, steps.slice(0, more.all ? 300 : FIRST).map((step) => {
      const date = day(step.at) === last ? null : day(step.at);
      last = day(step.at);
      return happening(step, date);
    })) : h("p", { class: "dim" }, more.loaded ? "Nothing yet." : "Reading the journal …"),
    steps.length > FIRST && !more.all ? h("button", { type: "button", class: "quiet", onclick: () => act("all") }, `Show ${Math.min(steps.length, 300) - FIRST} more`) : null);
}

function happening(step, date) {
  const [colour] = line(step);
  const { page: _page, member: _member, saved: _saved, evidence, ...rest } = step.data || {};
  const known = facts({ ...rest, ...(evidence || {}) });
  return h("li", { "data-key": step.seq, class: colour },
    date ? h("span", { class: "date" }, date) : null,
    h("span", { class: "mono when", title: step.at }, clock(step.at)), icon(colour),
    h("div", { class: "what", "data-key": "what" }, h("b", {}, step.kind), " ", rich(step.text), step.by && step.by !== "lbctl" ? h("span", { class: "by" }, ` by ${step.by}`) : "",
      known ? h("details", { "data-key": "evidence" }, h("summary", {}, "evidence"), known) : null));
}
