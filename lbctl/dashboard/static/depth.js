// One service in depth, in the order in which it is asked at night: what is it, why, what would happen, what to type; then the evidence.
import { h, icon } from "./dom.js";
import { now } from "./api.js";
import { failing, line, standing, state } from "./words.js";
import { chips } from "./glance.js";
import { members } from "./members.js";
import { command, facts, rich, section, sentence, spoken } from "./parts.js";
import { drain, maintenance, run, upgrade } from "./underway.js";
import { clock, day, left, millis, moment, since, span } from "./times.js";

// `may`: the reader may act; `who` is the reader, as the controller knows them.
export function depth(shown, more, act, may, who) {
  return [
    h("article", { class: "service", "data-key": shown.name },
      head(shown, more, act, may, who),
      shown.approvals.map((approval) => asked(shown, approval, act, may)),
      drain(shown, act, may),
      run(shown, act, may),
      maintenance(shown, act, may),
      upgrade(shown, more.upgrade, act, may),
      next(shown, more.explain),
      h("div", { class: "columns", "data-key": "columns" },
        h("div", { class: "left" }, members(shown, more, act), shown.gate?.length ? gate(shown) : null, ledger(shown), readiness(shown, more)),
        h("div", { class: "right" }, timeline(more, act)))),
  ];
}

function head(shown, more, act, may, who) {
  const [colour, word, means] = standing(shown);
  const others = (shown.conditions || []).filter((name) => name !== shown.state);
  const at = now(), suspect = failing(shown);
  const alerts = (shown.alerts || []).filter((alert) => alert.kind !== "ApprovalPending");
  const serving = shown.kind === "pool" ? shown.answering : shown.active ? [shown.active] : [];
  const names = serving.length > 6 ? [...serving.slice(0, 5), `${serving.length - 5} more`] : serving;
  return h("header", { class: `head ${colour}`, "data-key": "head" },
    h("div", { class: "headline" },
      h("a", { class: "back quiet", href: "#/", "aria-label": "All services" }, "‹"),
      h("h1", {}, shown.name),
      h("span", { class: `badge ${colour}` }, icon(colour), word),
      suspect ? h("span", { class: "badge small bad" }, icon("bad"), `${suspect.name} fails${suspect.since ? `, ${since(suspect.since, at)}` : ""}`) : null,
      others.map((name) => h("span", { class: `badge small ${state(name)[0]}`, title: state(name)[2] }, icon(state(name)[0]), state(name)[1])),
      chips({ ...shown, approvals: [] })),
    h("p", { class: "why" }, sentence(spoken(shown.reason)) || means),
    shown.reason && (suspect || shown.state !== "normal") ? h("p", { class: "means" }, means) : null,
    h("p", { class: "where" }, icon("arrow", "accent"), "Clients are sent to ", names.length ? names.map((name, index) => [index ? ", " : "", h("b", { class: "mono" }, name)]) : h("b", {}, "nobody that lbctl knows of"),
      shown.moved_at ? [" since ", h("span", { class: "mono" }, moment(shown.moved_at, at)), `, ${since(shown.moved_at, at)} ago`] : "",
      h("span", { class: "dim" }, ` · epoch ${shown.epoch} · revision ${shown.revision}`)),
    happened(shown, more),
    unserved(shown),
    shown.halted ? h("p", { class: "alone bad", role: "alert" }, icon("bad"), h("span", {}, spoken(shown.halted))) : null,
    alerts.length ? h("ul", { class: "alerts" }, alerts.map((alert) => h("li", { "data-key": `${alert.kind}${alert.member}` }, icon("warn"), h("b", {}, alert.kind), " ", rich(alert.text)))) : null,
    may ? buttons(shown, act) : h("p", { class: "reader" }, icon("lock", "idle"), h("span", {}, who ? `You are ${who.by}, a ${who.role}: you may look. ` : "You may look. "),
      h("button", { type: "button", class: "quiet", "data-verb": "token", onclick: () => act("token") }, "Enter an operator's token to act")));
}

// The last move in its own words, by whoever asked for it: the first question of the night.
function happened(shown, more) {
  const last = more.steps.find((step) => step.kind === "moved" && step.epoch === shown.epoch);
  if (!last || (shown.state === "normal" && now() - Date.parse(last.at) > 86400000)) return null;
  return h("p", { class: "happened" }, icon("info", "accent"), h("span", {}, "What happened: ", rich(last.text), last.by && last.by !== "lbctl" ? ` (asked for by ${last.by})` : " (by itself)"));
}

// A Core that has the traffic and is no Primary yet answers the gate and serves nobody: that must not look like health.
function unserved(shown) {
  const active = shown.kind === "pool" || shown.monitor !== "core" ? null : shown.members.find((member) => member.active);
  if (!active || active.promoted || active.monitors.status?.verdict === "ok" || active.health !== "up") return null;
  return h("p", { class: "alone warn", role: "status" }, icon("warn"),
    h("span", {}, h("b", {}, "Clients are not served yet: "), `${active.name} has the traffic and still is a Standby. It serves as soon as it is Primary: by itself, if its Fail Over Controls say so.`));
}

function buttons(shown, act) {
  const away = shown.active && shown.active !== shown.primary, pair = shown.kind !== "pool" && shown.members.length > 1;
  const known = shown.active && shown.state !== "uninitialised", failing = isDown(shown), span_ = shown.maintenance;
  const massed = (shown.alerts || []).some((alert) => alert.kind === "MassMoveHeld");
  const list = [
    [span_.until ? "maintenance-off" : "maintenance", span_.on ? "End maintenance" : span_.until ? "Call maintenance off" : "Maintenance", true],
    ["switchover", "Switch over", known && pair && !away && !failing && !shown.drain && !shown.run],
    ["resume", "Resume", known && away && !shown.run && !shown.drain, true],
    ["swap-roles", "Swap roles", known && away && !shown.run],
    ["failover", "Fail over", known && pair],
    [shown.held ? "release" : "hold", shown.held ? "Release" : "Hold", true],
    ["release", "Release", massed && !shown.held, true],
    ["ack", "Acknowledge", shown.locked_out_until || shown.state === "re-arming" || shown.members.some((member) => member.latched)],
    ["adopt", "Adopt", shown.state === "uninitialised", true],
    ["upgrade-start", "Upgrade", known && pair && shown.monitor === "core" && !shown.run && shown.state === "normal"],
  ];
  return h("div", { class: "actions" }, list.filter(([, , offered]) => offered).map(([verb, label, , first]) =>
    h("button", { type: "button", class: first ? "first" : "", "data-key": verb, "data-verb": verb, onclick: () => act(verb) }, label)));
}

const isDown = (shown) => shown.members.some((member) => member.active && member.health === "down");

function asked(shown, approval, act, may) {
  return h("section", { class: "ask", "data-key": `ask-${approval.id}`, role: "alert" },
    h("h2", {}, icon("hand", "bad"), approval.rules?.includes("second-person") ? "A second person's yes is needed" : `May traffic move to ${approval.to}?`),
    h("p", {}, approval.reason, approval.rules?.length ? h("span", { class: "dim" }, ` · only a person may say yes to: ${approval.rules.join(", ")}`) : ""),
    h("p", { class: "dim" }, `${approval.id} · asked ${clock(approval.asked)} · expires in ${left(approval.expires, now())}${approval.first_yes ? ` · first yes by ${approval.first_yes}` : ""}`),
    may ? h("div", { class: "actions" },
      h("button", { type: "button", class: "first", "data-verb": "approve", onclick: () => act("approve", approval) }, "Approve"),
      h("button", { type: "button", "data-verb": "deny", onclick: () => act("deny", approval) }, "Deny")) : command(`lbctl approve ${approval.id}`));
}

function next(shown, explained) {
  // told by the controller, so that the terminal says the same
  const ways = explained?.advice || [];
  const would = isDown(shown) || failing(shown) ? null : explained?.if_active_failed;
  if (!ways.length && !would) return null;
  const pool = shown.kind === "pool";
  return section(ways.length ? "What to do" : `If ${pool ? "a" : "the active"} member failed now`, "next",
    ways.length ? h("ol", { class: "ways" }, ways.map((way) => h("li", {}, h("span", {}, rich(way.text)), way.command ? command(way.command) : null))) : null,
    would ? h("p", { class: "would" }, icon(pool || (would.moves_to && !would.asks) ? "ok" : "warn"),
      ways.length ? `If ${pool ? "a" : "the active"} member failed now, ${would.text}.` : sentence(would.text)) : null);
}

function gate(shown) {
  return section("The gate", "gate", h("p", { class: "dim" }, "Traffic moves by itself only when every row holds. The first row is the trigger: while the active member serves, it does not hold."),
    shown.gate.map((candidate) => {
      const failing = candidate.rules.filter((row) => !row.holds && row.rule !== "active-down" && row.rule !== "candidate-confirmed");
      const trigger = candidate.rules.filter((row) => !row.holds && (row.rule === "active-down" || row.rule === "candidate-confirmed"));
      const word = candidate.open ? ["ok", "open: it takes over now"] : failing.length ? ["warn", `${failing.length} ${failing.length === 1 ? "row does" : "rows do"} not hold`] : ["ok", "ready: waits for the active member to fail"];
      return h("div", { class: "candidate", "data-key": candidate.member },
        h("h3", {}, h("span", { class: "mono" }, candidate.member), h("span", { class: word[0] }, icon(word[0]), word[1])),
        h("ul", { class: "rules" }, failing.map((row) => rule(named(row, shown, candidate), "bad", "no")), trigger.map((row) => rule(row, "wait", "not now"))),
        h("details", { "data-key": "holding" }, h("summary", {}, `${candidate.rules.filter((row) => row.holds).length} rows hold`),
          h("ul", { class: "rules" }, candidate.rules.filter((row) => row.holds).map((row) => rule(row, "ok", "holds")))));
    }));
}

// The gate's hints are the same for every service; here they can be typed as they stand.
const named = (row, shown, candidate) => ({ ...row, opens: row.opens.replaceAll("SERVICE", shown.name).replaceAll("MEMBER", candidate.member) });

function rule(row, sign, word) {
  return h("li", { class: row.holds ? "holds" : "fails", "data-key": row.rule },
    icon(sign, sign === "wait" ? "idle" : sign), h("span", { class: "offscreen" }, `${word}: `), h("b", { class: "mono" }, row.rule), h("span", { class: "evidence" }, rich(row.evidence)),
    !row.holds && row.opens ? h("span", { class: "opens" }, "needs: ", rich(row.opens)) : null);
}

// What was published at the start is news only while it decides something; afterwards the epochs tell who is shown.
function said(shown, item) {
  if (shown.uninitialised) return item.shows ? h("span", { class: "dim" }, ` showed ${item.shows} at the start`) : "";
  return [item.in_sync ? h("span", { class: "dim" }, ` shows ${shown.kind === "pool" ? `${shown.answering.length} members` : shown.active}`) : "", caches(item)];
}

// What clients' resolvers told after the last move: the ledger knows the servers, clients ask these.
function caches(item) {
  const asked = (item.resolvers || []).filter((one) => one.epoch !== null && one.epoch !== undefined);
  if (!asked.length) return "";
  return h("ul", { class: "caches" }, asked.map((one) => {
    const told = one.seconds !== null, [sign, text] = told ? ["ok", `tells it, ${Number(one.seconds.toPrecision(2))} s after the decision`]
      : [one.late ? "warn" : "wait", `${one.late ? "late, tells" : "not yet, tells"} ${one.error || (one.shows || []).join(", ") || "nothing yet"}`];
    return h("li", { "data-key": one.resolver }, icon(sign, sign === "wait" ? "info" : sign), h("span", { class: "dim" }, `resolver ${one.resolver} ${text}`));
  }));
}

function ledger(shown) {
  if (!shown.actuators.length) return section("Ledger", "ledger", h("p", { class: "dim" }, "Nothing is written for this service."));
  return section("Ledger", "ledger", h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Where", "Wanted", "Applied", "Verified", "", "Error"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, shown.actuators.map((item) => h("tr", { "data-key": item.id },
      h("td", { class: "mono" }, item.id, said(shown, item)),
      h("td", { class: "number", "data-label": "wanted" }, item.wanted), h("td", { class: `number ${item.applied < item.wanted ? "warn" : ""}`, "data-label": "applied" }, item.applied),
      h("td", { class: `number ${item.verified < item.wanted ? "warn" : ""}`, "data-label": "verified" }, item.verified),
      h("td", {}, icon(item.in_sync ? "ok" : "warn"), item.in_sync ? " in sync" : item.behind_since ? ` behind for ${since(item.behind_since, now())}` : " behind"),
      h("td", { class: item.error ? "error" : "dim" }, item.error || "–")))))));
}

// holds: yes, no, unknown. What is urgent and not kept stands first.
const HOLDS = { yes: ["ok", 2, "kept"], no: ["warn", 0, "not kept"], unknown: ["idle", 1, "not known"] };

function readiness(shown, more) {
  const report = more.readiness;
  const rows = report?.practices;
  if (!rows?.length) return null;
  const order = (row) => (HOLDS[row.holds] || HOLDS.unknown)[1] * 2 - (row.urgent && row.holds === "no" ? 1 : 0);
  const open = rows.filter((row) => row.holds === "no").sort((a, b) => order(a) - order(b)), kept = rows.filter((row) => row.holds === "yes");
  const unknown = rows.filter((row) => row.holds !== "yes" && row.holds !== "no"), whys = new Set(unknown.map((row) => row.evidence));
  const list = (some) => h("ul", { class: "rules" }, some.map((row) => {
    const [sign, , word] = HOLDS[row.holds] || HOLDS.unknown;
    return h("li", { "data-key": row.practice, class: row.holds === "yes" ? "holds" : "fails", title: row.text || "" },
      icon(sign === "warn" && row.urgent ? "bad" : sign), h("span", { class: "offscreen" }, `${word}: `), h("b", {}, row.practice), h("span", { class: "evidence" }, rich(row.evidence || "")),
      row.advice ? h("span", { class: "opens" }, rich(row.advice.replaceAll("SERVICE", shown.name))) : null);
  }));
  return section("Readiness", "readiness",
    h("p", {}, icon(report.ready ? "ok" : "warn"), h("span", {}, shown.kind === "pool" ? "" : report.ready ? "The standby would take over now; " : "The standby would not take over now; ", `${report.kept} of ${report.of} best practices are kept`),
      more.auditedAt ? h("span", { class: "dim" }, ` · read ${span((Date.now() - more.auditedAt) / 1000)} ago`) : null),
    open.length ? list(open) : null,
    unknown.length ? h("details", { "data-key": "unknown", open: unknown.length < 4 }, h("summary", {}, `${unknown.length} not known`, whys.size === 1 && unknown.length > 1 ? `: ${[...whys][0]}` : ""), list(unknown)) : null,
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

// The rows of the gate as they stood at the moment of the move, or those that refused a command.
const weighed = (rules, refused) => h("ul", { class: "rules weighed" }, Object.entries(rules).map(([rule, seen]) =>
  h("li", { "data-key": rule, class: "holds" }, icon(refused ? "bad" : "ok"), h("span", { class: "offscreen" }, refused ? "refused by: " : "held: "), h("b", { class: "mono" }, rule), h("span", { class: "evidence" }, rich(seen)))));

function happening(step, date) {
  const [colour] = line(step);
  const { page: _page, member: _member, saved: _saved, evidence, stages, ...rest } = step.data || {};
  const { rules, ...found } = evidence && !Array.isArray(evidence) ? evidence : {};
  const took = stages && Object.fromEntries(Object.entries(stages).map(([stage, seconds]) => [stage, millis(seconds)]));
  const known = [facts({ ...rest, ...found, ...(took || {}), ...(Array.isArray(rules) ? { rules } : {}) }), rules && !Array.isArray(rules) ? weighed(rules, step.kind === "command") : null].filter(Boolean);
  return h("li", { "data-key": step.seq, class: colour },
    date ? h("span", { class: "date" }, date) : null,
    h("span", { class: "mono when", title: step.at }, clock(step.at)), icon(colour),
    h("div", { class: "what", "data-key": "what" }, h("b", {}, step.kind), " ", rich(step.text), step.by && step.by !== "lbctl" ? h("span", { class: "by" }, ` by ${step.by}`) : "",
      known.length ? h("details", { "data-key": "evidence" }, h("summary", {}, "evidence"), known) : null));
}
