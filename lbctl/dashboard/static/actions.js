// The form of an action: the consequence before anything happens, the reason, the same command for a terminal, and the answer. It follows the service
// while it is open: what would be refused is said as it is now, and a change by somebody else has to be seen before anything is sent (H36).
import { h, icon, show } from "./dom.js";
import { read, service, token, write } from "./api.js";
import { ACTS } from "./acts.js";
import { command, facts, rich } from "./parts.js";
import { state } from "./words.js";

const place = () => document.getElementById("dialog");
let opened = null;

export function close() {
  place().close();
}

// Draws the open form again, when the service may have changed.
export function keepUp() {
  if (opened && place().open) opened();
}

// Opens the form of one action. `current` gives the service as it is now, `more` what is known beside it; `done` is called after an answer.
export function open(verb, current, subject, done, more) {
  const form = { seen: current().revision, shown: current(), values: {}, busy: false, answer: null };
  const act = () => {
    form.shown = current() || form.shown;
    const made = ACTS[verb](form.shown, subject, more.explain, more.upgrade);
    const fields = typeof made.fields === "function" ? made.fields(form.values) : made.fields;
    for (const field of fields) form.values[field.name] ??= field.value ?? field.options?.[0]?.[0] ?? (field.kind === "check" ? false : "");
    return { ...made, fields: typeof made.fields === "function" ? made.fields(form.values) : fields };
  };
  const redraw = () => draw(act(), form, redraw, () => send(act(), form, redraw, done));
  opened = redraw;
  place().addEventListener("close", () => { if (opened === redraw) opened = null; }, { once: true });
  redraw();
  place().showModal();
  (place().querySelector("[data-field=reason]") || place().querySelector("button"))?.focus();
}

function draw(act, form, redraw, submit) {
  const done = form.answer?.classList.contains("done"), changed = form.shown.revision !== form.seen && !done && !form.busy;
  // a name that has to be typed is a lock, not a hint: nothing is sent by any key before it is right
  const locked = changed || act.fields.some((field) => field.equals !== undefined && form.values[field.name] !== field.equals);
  show(place(), h("form", { method: "dialog", "data-key": act.title, onsubmit: (event) => { event.preventDefault(); if (!form.busy && !locked && !done) submit(); } },
    h("h2", { id: "dialog-title" }, act.title),
    h("div", { class: "consequence", "data-key": "consequence" }, h("h3", {}, "What will happen"), h("ul", {}, act.says(form.values).filter(Boolean).map((text) => h("li", {}, rich(text))))),
    act.fields.map((field) => entry(field, form.values, redraw)),
    h("p", { class: "dim", "data-key": "same" }, "The same in a terminal:"), h("div", { "data-key": "line" }, command(act.line(form.values))),
    changed ? overtaken(form, redraw) : null,
    form.answer,
    h("div", { class: "actions end", "data-key": "end" },
      h("button", { type: "button", onclick: close }, done ? "Close" : "Cancel"),
      done ? null : h("button", { type: "submit", class: act.danger ? "danger" : "first", disabled: form.busy || locked || null, "data-go": "" }, form.busy ? "Asking …" : act.go))));
}

// Somebody, or the world, was faster than the reader: nothing is sent on what was seen before.
function overtaken(form, redraw) {
  return h("div", { class: "answer refused", role: "alert", "data-key": "overtaken" },
    h("p", {}, icon("warn"), `${form.shown.name} has changed since you opened this: it is “${state(form.shown.state)[1]}” now, clients are sent to ${form.shown.active || "nobody known"}.`),
    h("button", { type: "button", "data-seen": "", onclick: () => { form.seen = form.shown.revision; form.answer = null; redraw(); } }, "I have seen that"));
}

function entry(field, values, redraw) {
  const id = `field-${field.name.replaceAll(" ", "-")}`;
  const set = (value) => { values[field.name] = value; redraw(); };
  const hint = field.hint ? h("span", { class: "hint", id: `${id}-hint` }, field.hint) : null;
  const common = { id, "data-field": field.name, "aria-describedby": hint ? `${id}-hint` : null };
  if (field.kind === "check") {
    return h("label", { class: "check", "data-key": field.name, for: id }, h("input", { ...common, type: "checkbox", checked: values[field.name] || null, onchange: (event) => set(event.target.checked) }), h("span", {}, rich(field.label), hint));
  }
  const input = field.kind === "choice"
    ? h("select", { ...common, onchange: (event) => set(event.target.value) }, field.options.map(([value, label]) => h("option", { value, selected: value === values[field.name] || null }, label)))
    : h("input", { ...common, type: "text", required: field.need || null, maxlength: 500, autocomplete: "off", spellcheck: "false", oninput: (event) => set(event.target.value) });
  return h("label", { class: "entry", "data-key": field.name, for: id }, h("span", {}, field.label), input, hint);
}

// What is sent: the verb's own body, or the fields as they are. A name that was typed to confirm goes nowhere.
function body(act, values) {
  if (act.body) return act.body(values);
  const asked = act.fields.filter((field) => values[field.name] !== "" && values[field.name] !== false && field.name !== "typed");
  return { ...(act.fixed || {}), ...Object.fromEntries(asked.map((field) => [field.name, values[field.name]])) };
}

async function send(act, form, redraw, done) {
  form.busy = true;
  form.answer = null;
  redraw();
  if (act.each) form.answer = await sendEach(act, form);
  else try {
    const outcome = await write(act.path || service(form.shown.name, `/${act.verb}`), body(act, form.values), form.seen);
    form.answer = h("div", { class: "answer done", role: "status", "data-key": "answer" }, icon("ok"), ` ${outcome.message || "Done."}`, outcome.code === 6 ? " Accepted; not seen everywhere yet." : "");
  } catch (problem) {
    form.answer = refusal(problem, form.shown);
  }
  form.busy = false;
  redraw();
  await done();
}

// One after the other; what one refuses is no reason to leave out the next.
async function sendEach(act, form) {
  const wrong = [];
  for (const one of act.each) {
    try {
      await write(service(one.name, `/${act.verb}`), body(act, form.values), one.revision);
    } catch (problem) {
      wrong.push(`${one.name}: ${problem.message}`);
    }
  }
  const done = act.each.length - wrong.length;
  return h("div", { class: `answer ${wrong.length ? "refused" : "done"}`, role: wrong.length ? "alert" : "status", "data-key": "answer" },
    h("p", {}, icon(wrong.length ? "warn" : "ok"), `Done for ${done} of ${act.each.length}.`), h("ul", {}, wrong.slice(0, 20).map((text) => h("li", {}, rich(text)))));
}

function refusal(problem, shown) {
  const found = problem.document || {}, { rules, ...seen } = found.evidence || {};
  const title = { 401: "Who are you?", 403: "Not allowed", 409: "Refused by a safety rule", 412: "Somebody changed it first", 429: "Too many attempts" }[problem.status] || "It did not work";
  return h("div", { class: "answer refused", role: "alert", "data-key": "answer" }, h("h3", {}, icon("bad"), title, found.rule ? [": ", h("span", { class: "mono" }, found.rule)] : ""),
    h("p", {}, rich(problem.message)), facts({ ...seen, ...(rules || {}) }),
    problem.status === 409 ? command(`lbctl explain ${shown.name}`) : null);
}

// The token: asked for, tried at once, kept in this tab only.
export function askToken(changed) {
  opened = null;
  const state_ = { answer: null };
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
      state_.answer = h("div", { class: "answer refused", role: "alert" }, icon("bad"), ` ${problem.message}`);
      redraw();
    }
  } },
  h("h2", { id: "dialog-title" }, "Your token"),
  h("p", {}, "It is kept in this tab until you close it, and sent to this controller only."),
  h("label", { class: "entry" }, h("span", {}, "Token"), h("input", { type: "password", autocomplete: "off", spellcheck: "false" })),
  h("p", { class: "dim" }, "Make one on the controller's host:"), command("lbctl token create NAME --role operator"),
  state_.answer,
  h("div", { class: "actions end" },
    token.get() ? h("button", { type: "button", onclick: () => { token.set(""); close(); changed(); } }, "Forget it") : null,
    h("button", { type: "button", onclick: close }, "Cancel"), h("button", { type: "submit", class: "first" }, "Use it"))));
  redraw();
  place().showModal();
  place().querySelector("input").focus();
}

const KEYS = [["j  k  ↓  ↑", "next, previous service"], ["Enter", "open it"], ["Esc", "back, or close"], ["/", "filter"], ["m", "maintenance"], ["t", "dark, light, as the system"], ["?", "this"]];

export function keys() {
  opened = null;
  show(place(), h("form", { method: "dialog", "data-key": "keys" }, h("h2", { id: "dialog-title" }, "Keys"),
    h("dl", { class: "keys" }, KEYS.map(([key, means]) => h("div", {}, h("dt", { class: "mono" }, key), h("dd", {}, means)))),
    h("div", { class: "actions end" }, h("button", { type: "submit", class: "first" }, "Close"))));
  place().showModal();
}
