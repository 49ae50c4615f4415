// The members: who has the traffic, what each says and since when, and how its pages have answered of late. Many of them become a table.
import { h, icon } from "./dom.js";
import { now } from "./api.js";
import { facts, section } from "./parts.js";
import { page, verdict } from "./words.js";
import { picture, slowest } from "./chart.js";
import { left, millis, since, span } from "./times.js";

const CARDS_MAX = 12, ROWS_FIRST = 25;

export function members(shown, more, act) {
  if (shown.members.length > CARDS_MAX) return section(`Members (${shown.members.length})`, "members", table(shown, more, act));
  return section("Members", "members", h("div", { class: "cards" }, shown.members.map((member) => card(shown, member, more.looks))));
}

function flags(shown, member) {
  const found = [
    member.latched && ["lock", "warn", "latched", "it lost the traffic; not chosen again until somebody says so"],
    member.needs_resync && ["warn", "warn", "needs resync", "writes happened elsewhere; it has to be synced before it may serve"],
    member.active && !member.promoted && ["wait", "warn", "not promoted yet", "it has the traffic and has not shown Mode: Primary with a good status page"],
    member.approval === "manual" && ["hand", "idle", "by approval only", "never taken automatically"],
  ].filter(Boolean);
  return found.map(([sign, tone, text, title]) => h("span", { class: `chip ${tone}`, title }, icon(sign, tone), text));
}

function card(shown, member, looks) {
  const [colour, word] = verdict(member), at = now(), chips = flags(shown, member);
  const known = [
    member.site && ["site", member.site],
    Object.values(member.address || {}).flat().length && ["address", Object.values(member.address).flat().join(", ")],
    member.syncs_from && ["syncs from", member.syncs_from],
    member.synced_at && ["last sync", `${since(member.synced_at, at)} ago`],
    member.version && ["version", member.version],
    member.certificate_ends && ["certificate", `${left(member.certificate_ends, at)} left`],
    Math.abs(member.clock_skew_s || 0) > 5 && ["clock", `${member.clock_skew_s.toFixed(0)} s off`],
  ].filter(Boolean);
  const minutes = looks ? Math.round((looks.cell_s * (Object.values(looks.members[member.name] || {})[0]?.good.length || 0)) / 60) : 0;
  return h("div", { class: `member ${colour} ${member.active ? "is-active" : ""}`, "data-key": member.name },
    h("div", { class: "member-head" },
      h("h3", { class: "mono" }, member.name), h("span", { class: "dim" }, member.role),
      member.active ? h("span", { class: "traffic" }, icon("arrow", "accent"), "traffic") : null),
    h("p", { class: "verdict" }, icon(colour), h("b", { class: colour }, word), h("span", {}, ` · ${member.health}`),
      member.reason !== "ok" ? h("span", { class: "reason mono" }, member.reason) : null,
      member.since ? h("span", { class: "dim" }, ` for ${since(member.since, at)}`) : null),
    member.detail && member.reason !== "ok" ? h("p", { class: "detail mono" }, member.detail) : null,
    chips.length ? h("p", { class: "chips" }, chips) : null,
    h("div", { class: "pages" }, Object.entries(member.monitors).map(([name, monitor]) => seen(shown, member, name, monitor, looks, minutes)),
      minutes ? h("p", { class: "axis dim", "aria-hidden": "true" }, h("span", {}, `${minutes} min ago`), h("span", {}, "now")) : null),
    facts(Object.fromEntries(known)));
}

function seen(shown, member, name, monitor, looks, minutes) {
  const [colour, word] = page(monitor);
  const decisive = (member.decisive || "") === name;
  // the standby's status page is not expected to serve: its failure is a fact, not an alarm
  const calm = !decisive && !member.active && name === "status" && member.health === "up";
  const columns = looks?.members[member.name]?.[name];
  const failing = monitor.verdict === "failed" || monitor.verdict === "unknown";
  return h("div", { class: `page ${decisive ? "decisive" : ""}`, "data-key": name, title: decisive ? "this page decides whether the member is up" : "" },
    h("div", { class: "page-line" },
      icon(calm && failing ? "idle" : colour), h("span", { class: "mono" }, name), h("span", { class: calm && failing ? "dim" : colour }, word),
      failing && monitor.detail ? h("span", { class: "mono dim" }, monitor.detail) : monitor.reason !== "ok" ? h("span", { class: "mono dim" }, monitor.reason) : null,
      calm && failing ? h("span", { class: "dim" }, "as expected of a standby") : monitor.failed_in_a_row > 1 ? h("span", { class: "dim" }, `${monitor.failed_in_a_row}× in a row`) : null,
      monitor.void ? h("span", { class: "warn" }, `void: ${monitor.void}`) : null,
      h("span", { class: "figures" }, figures(monitor, columns))),
    columns ? picture(name, columns, minutes, { calm, moved: where(shown.moved_at, looks, columns) }) : null);
}

const aged = (monitor) => (monitor.age_s === null || monitor.age_s === undefined ? "no look yet" : `${span(monitor.age_s)} old`);

function figures(monitor, columns) {
  const most = columns ? slowest(columns) : null;
  return `${millis(monitor.duration_s)}${most && most > (monitor.duration_s || 0) ? `, at most ${millis(most)}` : ""} · ${aged(monitor)}`;
}

// Where a moment stands in the picture, 0 to 1; null where it is not in it.
function where(iso, looks, columns) {
  if (!iso) return null;
  const whole = looks.cell_s * columns.good.length * 1000, at = 1 - (Date.parse(looks.until) - Date.parse(iso)) / whole;
  return at > 0 && at < 1 ? at : null;
}

// A large pool: who needs a look first, the rest on demand.
function table(shown, more, act) {
  const rank = (member) => ({ bad: 0, warn: 1, idle: 2 }[verdict(member)[0]] ?? 3);
  const rows = shown.members.map((member, index) => [rank(member), index, member]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , member]) => member);
  const kept = more.members ? rows : rows.slice(0, Math.max(ROWS_FIRST, rows.filter((member) => rank(member) < 3).length));
  const well = rows.filter((member) => member.health === "up").length, at = now();
  return [
    h("p", {}, icon(well === rows.length ? "ok" : "warn"), h("span", {}, `${well} of ${rows.length} are up, ${shown.answering.length} answer clients`)),
    h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["Member", "Says", "For", "Took", "Looked", ""].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, kept.map((member) => {
        const [colour, word] = verdict(member), monitor = member.monitors[member.decisive] || Object.values(member.monitors)[0];
        return h("tr", { "data-key": member.name },
          h("td", { class: "mono" }, member.active ? icon("arrow", "accent") : null, member.active ? h("span", { class: "offscreen" }, "answers: ") : null, member.name),
          h("td", {}, icon(colour), h("span", { class: colour }, word), member.reason !== "ok" ? h("span", { class: "mono dim" }, ` ${member.reason}`) : null),
          h("td", { class: "dim" }, member.since ? since(member.since, at) : ""), h("td", { class: "number" }, millis(monitor?.duration_s)),
          h("td", { class: "dim" }, monitor ? aged(monitor) : ""), h("td", {}, h("span", { class: "chips" }, flags(shown, member))));
      })))),
    kept.length < rows.length ? h("button", { type: "button", class: "quiet", onclick: () => act("members") }, `Show the other ${rows.length - kept.length}`) : null,
  ];
}
