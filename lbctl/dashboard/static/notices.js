// Whether people are really told: the ways, what became of the newest notices, and a test through all of them.
import { read, write } from "./api.js";
import { h, icon, show } from "./dom.js";
import { clock } from "./times.js";

const SIGN = { delivered: "ok", failed: "warn", "given-up": "bad", dropped: "bad" };
let found = null;

// Reads the log and marks the button where the newest try of a way did not arrive.
export async function look() {
  try {
    found = await read("/notices");
  } catch {
    found = null;
  }
  const button = document.getElementById("notices");
  const wrong = failing();
  button.hidden = !found?.ways.length;
  show(button, wrong.length ? icon("warn") : null, h("span", {}, "Notices"));
  button.title = wrong.length ? `does not arrive: ${wrong.join(", ")}` : "who is told, and whether it arrived";
}

function failing() {
  return (found?.ways || []).filter((way) => (found.deliveries.find((one) => one.notifier === way)?.outcome || "delivered") !== "delivered");
}

export function open() {
  const place = document.getElementById("dialog");
  const state = { busy: false, told: null };
  const test = async () => {
    state.busy = true;
    redraw();
    try {
      const answer = await write("/notify/test", {});
      state.told = h("p", { class: `answer ${answer.delivered ? "done" : "refused"}`, role: "status" }, answer.delivered ? "The test notice was taken by every way." : "Not every way took the test notice.");
    } catch (problem) {
      state.told = h("p", { class: "answer refused", role: "alert" }, problem.message);
    }
    state.busy = false;
    await look();
    redraw();
  };
  const redraw = () => show(place, h("form", { method: "dialog", "data-key": "notices" },
    h("h2", { id: "dialog-title" }, "Notices"),
    h("p", { class: "dim" }, `${(found?.ways || []).join(", ")} · ${found?.waiting ? `${found.waiting} waiting` : "nothing waits"}`),
    found?.deliveries.length ? h("div", { class: "scroll" }, h("table", {},
      h("thead", {}, h("tr", {}, ["When", "Way", "What", "Outcome"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, found.deliveries.slice(0, 30).map((one) => h("tr", {},
        h("td", { class: "mono" }, clock(one.at)), h("td", {}, one.notifier), h("td", {}, one.service ? `${one.service}: ` : "", one.kind),
        h("td", {}, icon(SIGN[one.outcome] || "idle"), ` ${one.outcome}`, one.attempt > 1 ? ` (try ${one.attempt})` : "", one.detail ? h("div", { class: "dim" }, one.detail) : null)))))) : h("p", {}, "Nothing has been told yet."),
    state.told,
    h("div", { class: "actions end" }, h("button", { type: "button", disabled: state.busy || null, "data-verb": "notify-test", onclick: test }, state.busy ? "Sending …" : "Send a test"),
      h("button", { type: "submit", class: "first" }, "Close"))));
  redraw();
  place.showModal();
}
