// The API as the page uses it: reads, writes with the revision that was seen and a key of their own, and the journal as it grows.
// The token lives in this tab's session only and goes nowhere but into the Authorization header.

const V1 = "/api/v1";
const SILENCE_MS = 45000;
let skew = 0;

export const token = {
  get: () => sessionStorage.getItem("lbctl-token") || "",
  set: (text) => (text ? sessionStorage.setItem("lbctl-token", text) : sessionStorage.removeItem("lbctl-token")),
};

// Now, as the controller's clock has it (milliseconds).
export const now = () => Date.now() + skew;

export class Problem extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `the controller answered ${status}`);
    this.status = status;
    this.document = document;
  }
}

function headers(more) {
  const own = token.get();
  return { Accept: "application/json", ...(own ? { Authorization: `Bearer ${own}` } : {}), ...more };
}

async function answered(response) {
  const date = Date.parse(response.headers.get("Date") || "");
  if (date && Math.abs(date - now()) > 2000) skew = date - Date.now();
  const text = await response.text();
  let body = {};
  try {
    body = text ? JSON.parse(text) : {};
  } catch {
    body = { detail: `the controller answered ${response.status} with something that is not JSON` };
  }
  if (!response.ok) throw new Problem(response.status, body);
  return body;
}

export async function read(path) {
  return answered(await fetch(V1 + path, { headers: headers(), cache: "no-store", signal: AbortSignal.timeout(10000) }));
}

export async function write(path, body, revision) {
  const key = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const more = { "Content-Type": "application/json", "Idempotency-Key": key, ...(revision === undefined ? {} : { "If-Match": `"${revision}"` }) };
  return answered(await fetch(V1 + path, { method: "POST", headers: headers(more), body: JSON.stringify(body), signal: AbortSignal.timeout(120000) }));
}

export const service = (name, rest = "") => `/services/${encodeURIComponent(name)}${rest}`;

// Follows the journal for ever. `onStep` gets each line, `onState` true while connected; resumes after the last line that was seen.
export async function follow(onStep, onState) {
  let last = "";
  for (let pause = 500; ; pause = Math.min(pause * 2, 10000)) {
    try {
      const abort = new AbortController();
      const response = await fetch(`${V1}/events/stream`, {
        headers: { ...headers({ Accept: "text/event-stream" }), ...(last ? { "Last-Event-ID": last } : {}) }, cache: "no-store", signal: abort.signal,
      });
      if (!response.ok) throw new Problem(response.status, {});
      onState(true);
      pause = 500;
      last = await lines(response.body.getReader(), abort, last, onStep);
    } catch {
      // whatever ended it, it is opened again
    }
    onState(false);
    await new Promise((resume) => setTimeout(resume, pause));
  }
}

async function lines(reader, abort, last, onStep) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const timer = setTimeout(() => abort.abort(), SILENCE_MS);
    let chunk;
    try {
      chunk = await reader.read();
    } catch {
      return last;
    } finally {
      clearTimeout(timer);
    }
    if (chunk.done) return last;
    const blocks = (rest + decoder.decode(chunk.value, { stream: true })).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const found = Object.fromEntries(block.split("\n").map((line) => [line.split(":", 1)[0], line.slice(line.indexOf(":") + 1).trim()]));
      if (found.id) last = found.id;
      if (found.data) onStep(JSON.parse(found.data));
    }
  }
}
