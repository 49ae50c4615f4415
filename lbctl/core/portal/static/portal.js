// All pages work without this. It refreshes Last Sync Status while a sync runs, and copies the Local Server SSH Key.
"use strict";

const RUNNING_MS = 1500;
const RESTING_MS = 15000;

function follow() {
  const shown = document.getElementById("last-sync");
  if (!shown) return;
  const wait = shown.dataset.running === "yes" ? RUNNING_MS : RESTING_MS;
  setTimeout(async () => {
    try {
      const answer = await fetch("/mics/ha/last-sync", { credentials: "same-origin", redirect: "error" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("last-sync");
        const button = document.querySelector('button[value="run-sync"]');
        if (fresh) document.getElementById("last-sync").replaceWith(fresh);
        if (fresh && button) button.disabled = fresh.dataset.running === "yes";
      }
      follow();
    } catch {
      follow();
    }
  }, wait);
}

function offerCopy() {
  const button = document.getElementById("copy-key");
  const key = document.getElementById("local-key");
  if (!button || !key || !navigator.clipboard) return;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(key.value);
    button.textContent = "Copied";
  });
}

follow();
offerCopy();
