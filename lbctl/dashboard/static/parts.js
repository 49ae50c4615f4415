// What several parts of a service's page are made of: a section, words with commands in them, facts, a command to copy, a span of time that runs out.
import { h } from "./dom.js";
import { span } from "./times.js";

export const code = (text) => h("code", {}, text);

// What stands between backticks is a command or a page's words.
export const rich = (text) => spoken(text).split("`").map((part, index) => (index % 2 ? code(part) : part));

// Evidence counts in seconds; nobody divides 28798 by 3600 at night.
export const spoken = (text) => String(text).replace(/\b(\d{3,})(?:\.\d+)? s\b/g, (_, seconds) => span(Number(seconds)));

// A sentence begins with a capital, a member's name does not.
export const sentence = (text) => (text ? `${/^(traffic|nothing|the|an?|no) /.test(text) ? text[0].toUpperCase() : text[0]}${text.slice(1)}.` : "");

export function section(title, id, ...content) {
  return h("section", { class: `part ${id}`, "data-key": id, "aria-label": title }, h("h2", {}, title), content);
}

// Facts as a list; what stands one level deeper is listed beside the rest, by both names.
export function facts(object) {
  const flat = Object.entries(object).flatMap(([name, value]) => (value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value).map(([inner, one]) => [`${name} ${inner}`, one]) : [[name, value]]));
  const kept = flat.filter(([, value]) => value !== "" && value !== null && value !== undefined && !(Array.isArray(value) && !value.length));
  return kept.length ? h("dl", { class: "facts" }, kept.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "mono" }, told(value))))) : null;
}

function told(value) {
  if (typeof value === "number" && value > 1e9 && value < 5e9) return `${new Date(value * 1000).toISOString().slice(11, 23)}Z`;
  if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(3)));
  if (typeof value === "string") return rich(value);
  if (Array.isArray(value)) return value.map((one) => (one && typeof one === "object" ? Object.values(one).filter((part) => part !== "").join(" ") : one)).join(", ");
  return typeof value === "object" && value ? Object.entries(value).map(([name, one]) => `${name} ${one}`).join(", ") : String(value);
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

// How much of a time is over, as a bar; the words beside it say the same.
export function bar(from, until, at) {
  const whole = Date.parse(until) - Date.parse(from), gone = Math.min(1, Math.max(0, (at - Date.parse(from)) / (whole || 1)));
  return h("svg", { class: "bar-left", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
    h("rect", { x: 0, y: 0, width: 100, height: 4, class: "all" }), h("rect", { x: 0, y: 0, width: (gone * 100).toFixed(2), height: 4, class: "gone" }));
}
