// The loop of the page: read, show, follow the journal, read again. What cannot be read is said at once; old figures are never shown as new ones.
import { follow, now, Problem, read, service, token } from "./api.js";
import { askToken, close, keepUp, keys, open } from "./actions.js";
import { trimmed } from "./chart.js";
import { depth } from "./depth.js";
import { h, show } from "./dom.js";
import { glance, ordered, summary, together, tone } from "./glance.js";
import * as notices from "./notices.js";
import { standing } from "./words.js";
import { span } from "./times.js";

const STEPS_KEPT = 300;
const LOOKS_MS = 5000, MANY_LOOKS_MS = 30000, AUDIT_MS = 60000, UPGRADE_MS = 10000;
const page = { services: [], shown: null, selected: "", more: new Map(), live: false, openedAt: Date.now(), readAt: 0, asOf: 0, problem: "", reading: null, again: false, me: null };
const at = (id) => document.getElementById(id);
// The chosen service in full; the list has only what a glance needs.
const current = () => (page.shown?.name === page.selected ? page.shown : null);

function more(name) {
  if (!page.more.has(name)) page.more.set(name, { steps: [], explain: null, readiness: null, upgrade: null, looks: null, loaded: false, group: "all", all: false, members: false, read: {} });
  return page.more.get(name);
}

// One reading at a time; another wish meanwhile means one more afterwards.
async function refresh() {
  if (page.reading) {
    page.again = true;
    return page.reading;
  }
  page.reading = readAll();
  await page.reading;
  page.reading = null;
  if (page.again) {
    page.again = false;
    await refresh();
  }
}

async function readAll() {
  try {
    if (page.problem) page.me = null;
    page.me ??= await read("/whoami");
    const before = new Map(page.services.map((shown) => [shown.name, standing(shown)[1]]));
    page.services = (await read("/services?brief=true")).services;
    for (const shown of page.services) {
      const was = before.get(shown.name);
      if (was && was !== standing(shown)[1]) at("told").textContent = `${shown.name} is now ${standing(shown)[1]}`;
    }
    const only = page.services.length === 1 && !page.readAt; // at the first sight, so that the way back to the list stays open
    if (!page.selected && page.services.length && (wide() || only)) choose(ordered(page.services, "")[0].name);
    if (page.selected) await readOne(page.selected);
    page.readAt = Date.now();
    page.asOf = now();
    page.problem = "";
  } catch (problem) {
    page.problem = lost(problem);
  }
  draw();
}

// Old figures are shown with the moment that they are of; nothing here can tell whether traffic still is where it was.
function lost(problem) {
  if (problem instanceof Problem && problem.status === 401) return "Reading needs a token here. Enter yours with “Token”.";
  const stale = page.asOf ? ` Stale since ${new Date(page.asOf).toISOString().slice(11, 19)}Z: what is below is as of then.` : "";
  return `The controller does not answer (${problem.message}).${stale} It is asked again by itself.`;
}

async function readOne(name) {
  try {
    page.shown = await read(service(name));
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    page.shown = null;
  }
  if (!current()) return;
  const own = more(name), shown = current();
  own.explain = await quietly(service(name, "/explain"));
  if (due(own, "looks", shown.members.length > 20 ? MANY_LOOKS_MS : LOOKS_MS)) own.looks = trimmed(await quietly(service(name, "/looks"))) || own.looks;
  // both of these ask the Cores themselves: rarely, beside everything else, and at once where what they were read of has changed
  const about = `${shown.epoch} ${shown.state}`;
  if (own.auditedAt && (own.audited !== about || Date.now() - own.auditedAt > AUDIT_MS)) audit(name);
  if (shown.run?.kind !== "upgrade") own.upgrade = null;
  else if (own.step !== shown.run.step || due(own, "upgrade", UPGRADE_MS)) askUpgrade(name, shown.run.step);
}

// Whether something is to be read again; from now on it counts as read.
function due(own, what, every) {
  const at = Date.now(), wanted = at - (own.read[what] || 0) >= every;
  if (wanted) own.read[what] = at;
  return wanted;
}

// What the page can do without, for now.
async function quietly(path) {
  try {
    return await read(path);
  } catch {
    return null;
  }
}

async function askUpgrade(name, step) {
  const own = more(name);
  own.step = step;
  own.read.upgrade = Date.now();
  const found = await quietly(service(name, "/upgrade"));
  own.upgrade = found && { ...found, read: new Date(now()).toISOString() };
  draw();
}

async function openService(name) {
  await readSteps(name);
  await refresh();
  await audit(name);
}

async function readSteps(name) {
  const own = more(name);
  own.steps = (await quietly(`/events?service=${encodeURIComponent(name)}&newest=true&limit=200`))?.events.reverse() || own.steps;
  own.loaded = true;
}

// The audit asks the Cores themselves, so it is read when a service is opened, once a minute after that, and when the service has changed.
async function audit(name) {
  const own = more(name), shown = current();
  own.auditedAt = Date.now();
  own.audited = shown ? `${shown.epoch} ${shown.state}` : "";
  own.readiness = await quietly(service(name, "/readiness"));
  draw();
}

function choose(name) {
  if (page.selected === name) return;
  page.selected = name;
  if (name) {
    openService(name);
    if (location.hash !== `#/service/${encodeURIComponent(name)}`) history.replaceState(null, "", `#/service/${encodeURIComponent(name)}`);
  }
  draw();
  at("depth").scrollTop = 0;
}

const many = () => page.services.length > 200;
const wide = () => matchMedia("(min-width: 900px)").matches;

function fromHash() {
  const found = location.hash.match(/^#\/service\/(.+)$/);
  choose(found ? decodeURIComponent(found[1]) : "");
  document.body.classList.toggle("in-depth", Boolean(found));
}

function act(verb, subject) {
  if (verb === "group") {
    more(page.selected).group = subject;
    return draw();
  }
  if (verb === "all" || verb === "members") {
    more(page.selected)[verb] = true;
    return draw();
  }
  if (verb === "token") return askToken(newReader);
  return open(verb, current, subject, acted, more(page.selected));
}

// The reader may have another name now, and may be allowed other things.
async function newReader() {
  page.me = null;
  await Promise.all([refresh(), notices.look()]);
}

async function acted() {
  const own = page.more.get(page.selected);
  if (own) own.read = {};
  await refresh();
}

const may = () => ["operator", "admin"].includes(page.me?.role);

// Many at once are those of this moment: what the list shows later is not what was confirmed.
function actTogether(verb, many) {
  open(verb, () => ({ name: "", revision: 0, state: "normal", many, every: page.services.length }), null, acted, {});
}

function onStep(step) {
  const own = page.more.get(step.service);
  if (own?.loaded && !own.steps.some((known) => known.seq === step.seq)) {
    own.steps.unshift(step);
    own.steps.length = Math.min(own.steps.length, STEPS_KEPT);
  }
  refresh();
}

function draw() {
  const shown = current();
  document.body.classList.toggle("in-depth", Boolean(shown) && location.hash.startsWith("#/service/"));
  show(at("services"), glance(page.services, at("filter").value, page.selected, (name) => choose(name)));
  show(at("together"), may() ? together(page.services, at("filter").value, actTogether) : []);
  show(at("summary"), summary(page.services));
  show(at("depth"), shown ? depth(shown, more(shown.name), act, may(), page.me) : h("p", { class: "empty" }, !page.selected ? "Choose a service." : page.services.some((one) => one.name === page.selected) || !page.readAt ? "Reading …" : `No service is called ${page.selected}.`));
  const worst = ordered(page.services, "")[0];
  document.title = worst && tone(worst) !== "ok" ? `${tone(worst) === "bad" ? "✕" : "△"} ${worst.name}: ${standing(worst)[1]} – lbctl` : "lbctl";
  at("token").textContent = page.me && page.me.by !== "local" ? `${page.me.by} · ${page.me.role}` : token.get() ? "Token ✓" : "Token";
  at("token").title = may() ? "you may act; another token?" : "reading only; enter an operator's token to act";
  keepUp();
  tick();
}

function tick() {
  const age = (Date.now() - (page.readAt || page.openedAt)) / 1000;
  // a path that has gone silent refuses nothing: only the age tells, long before a request gives up
  const fresh = !page.problem && age < (many() ? 25 : 6);
  const silent = page.readAt ? "The controller has not answered for some seconds: what is below may be old." : "The controller has not answered yet: nothing is known here of any service.";
  const told = page.problem || (fresh ? "" : silent);
  at("notice").hidden = !told;
  // only where it says something else: a reader's voice repeats whatever is written anew
  if (at("notice").textContent !== told) at("notice").textContent = told;
  const link = at("link");
  // a stream that stands is no picture yet: live is what has been read and is still being read
  link.className = `link ${page.problem ? "bad" : page.live && page.readAt && fresh ? "ok" : "warn"}`;
  link.textContent = page.problem ? (page.asOf ? `stale since ${new Date(page.asOf).toISOString().slice(11, 19)}Z` : "not connected") : !page.live || !page.readAt ? "connecting …" : fresh ? "live" : `${span(age)} old`;
  at("clock").textContent = `${new Date(now()).toISOString().slice(11, 19)}Z`;
  document.body.classList.toggle("old", !fresh);
}

// ------------------------------------------------------------------------------------------------ theme and keys
const THEMES = ["system", "dark", "light"];

function theme(chosen) {
  document.documentElement.dataset.theme = chosen;
  localStorage.setItem("lbctl-theme", chosen);
  at("theme").textContent = { system: "Auto", dark: "Dark", light: "Light" }[chosen];
}

function nextTheme() {
  theme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]);
}

function step(by) {
  const rows = ordered(page.services, at("filter").value).map((shown) => shown.name);
  if (!rows.length) return;
  const next = rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(page.selected) + by))];
  choose(next);
  at("services").querySelector(`[data-key="${CSS.escape(next)}"]`)?.focus();
}

const ON_KEY = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1), "/": () => at("filter").focus(), t: nextTheme, "?": keys,
  m: () => current() && may() && act(current().maintenance.on ? "maintenance-extend" : "maintenance"), Enter: () => at("depth").focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("dialog").open) return;
  // the field of a form that has just been closed keeps the focus for a moment: a key then is meant for the page
  const typing = event.target.matches("input, select, textarea") && !event.target.closest("dialog:not([open])");
  if (event.key === "Escape") {
    if (typing) event.target.blur();
    else if (!wide()) location.hash = "#/";
    return;
  }
  if (typing || !(event.key in ON_KEY) || (event.key === "Enter" && event.target.matches("button, summary, a"))) return;
  if (event.key.startsWith("Arrow") && !event.target.closest(".glance")) return;
  event.preventDefault();
  ON_KEY[event.key]();
});

at("filter").addEventListener("input", draw);
at("theme").addEventListener("click", nextTheme);
at("help").addEventListener("click", keys);
at("notices").addEventListener("click", notices.open);
at("token").addEventListener("click", () => askToken(newReader));
at("dialog").addEventListener("click", (event) => event.target === at("dialog") && close());
addEventListener("hashchange", fromHash);

theme(THEMES.includes(localStorage.getItem("lbctl-theme")) ? localStorage.getItem("lbctl-theme") : "system");
fromHash();
refresh();
notices.look();
setInterval(() => document.visibilityState === "visible" && notices.look(), 60000);
follow(onStep, (live) => {
  // what was written between the last line that was seen and the first one of a new stream is in the journal
  if (live && page.selected) readSteps(page.selected).then(draw);
  page.live = live;
  if (live) refresh();
  tick();
});
// Ages and figures of looks are not in the journal: read them on a pace that a large controller can bear.
setInterval(() => document.visibilityState === "visible" && !many() && refresh(), 2000);
setInterval(() => document.visibilityState === "visible" && many() && refresh(), 10000);
setInterval(() => (document.visibilityState === "visible" && !many() ? draw() : tick()), 1000);
// what the machine itself knows of its network, and a tab that is looked at again, need no pace
addEventListener("offline", refresh);
addEventListener("online", refresh);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
