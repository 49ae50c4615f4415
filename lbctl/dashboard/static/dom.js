// Elements from descriptions, and the shown tree made equal to a new one with as few changes as possible, so that focus, selection, scroll
// position and open details survive every refresh. Text is only ever set as text.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "path", "g", "line", "polyline", "polygon", "rect", "circle"]);
const handlers = new WeakMap();

export function h(tag, props, ...children) {
  const node = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) listen(node, name.slice(2), value);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  append(node, children);
  return node;
}

function append(node, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

function listen(node, type, handler) {
  const own = handlers.get(node) || {};
  if (!(type in own)) node.addEventListener(type, (event) => (handlers.get(node) || {})[type]?.(event));
  handlers.set(node, { ...own, [type]: handler });
}

// Makes the children of `place` look like `children`.
export function show(place, ...children) {
  const wanted = document.createDocumentFragment();
  append(wanted, children);
  patchChildren(place, [...wanted.childNodes]);
}

function patchChildren(place, wanted) {
  const keyed = new Map();
  for (const child of place.childNodes) if (child.nodeType === 1 && child.dataset.key) keyed.set(child.dataset.key, child);
  let cursor = place.firstChild;
  for (const fresh of wanted) {
    const key = fresh.nodeType === 1 ? fresh.dataset.key : undefined;
    const match = key ? keyed.get(key) : cursor && !(cursor.nodeType === 1 && cursor.dataset.key) ? cursor : null;
    if (match && same(match, fresh)) {
      if (match === cursor) cursor = cursor.nextSibling;
      else place.insertBefore(match, cursor);
      patch(match, fresh);
      keyed.delete(key);
    } else place.insertBefore(fresh, cursor);
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

function same(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && (old.nodeType !== 1 || old.dataset.key === fresh.dataset.key);
}

function patch(old, fresh) {
  if (old.nodeType === 3) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const [type, handler] of Object.entries(handlers.get(fresh) || {})) listen(old, type, handler);
  patchChildren(old, [...fresh.childNodes]);
}

const PATHS = {
  ok: "M3.5 8.5l3 3 6-7",
  warn: "M8 2.5L14.5 13.5h-13zM8 6.5v3.2M8 11.6v.4",
  bad: "M4 4l8 8M12 4l-8 8",
  info: "M8 7.4v4.2M8 4.6v.4M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8",
  idle: "M8 3.2a4.8 4.8 0 100 9.6 4.8 4.8 0 000-9.6",
  wait: "M8 1.8a6.2 6.2 0 100 12.4A6.2 6.2 0 008 1.8M8 4.6V8l2.4 1.6",
  wrench: "M10.2 2.4a3.6 3.6 0 00-3.4 4.9L2.6 11.5a1.3 1.3 0 001.9 1.9l4.2-4.2a3.6 3.6 0 004.8-4.4L11.4 7 9 6.9 8.9 4.5z",
  pause: "M5.4 3.5v9M10.6 3.5v9",
  lock: "M4 7.4h8v6H4zM5.6 7.4V5.2a2.4 2.4 0 014.8 0v2.2",
  arrow: "M2.5 8h10M9 4.5L12.5 8 9 11.5",
  hand: "M8 1.9v7.4M5.2 4.2v5M10.8 4.2v4.6M2.8 8.6l2.4 3.4c1.7 2.3 6.3 2.3 7.4-1l.6-4.6",
};

// A sign beside the colour; the word beside the sign says the same, so it is hidden from readers.
export function icon(name, tone) {
  return h("svg", { class: `icon ${tone || name}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: PATHS[name] || PATHS.idle }));
}
