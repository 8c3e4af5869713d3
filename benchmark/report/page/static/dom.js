// Small helpers over the DOM. Text from the data reaches the page through textContent only.
"use strict";

const SVG_NS = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) node.append(child);
  }
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG_NS, tag), attributes, children);
const byId = (id) => document.getElementById(id);

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const MINUS = "\u2212";

// A number as the tables of the report print it; a missing one is a dash, never a zero.
function fixed(value, digits, signed = false) {
  if (!isNumber(value)) return "\u2013";
  let text = Math.abs(value).toFixed(digits);
  if (value < 0 && Number(text) !== 0) text = MINUS + text;
  else if (signed && Number(text) !== 0) text = "+" + text;
  return text;
}

const percent = (value, digits = 2) => (isNumber(value) ? fixed(value, digits, true) + " %" : "\u2013");

function interval(low, high, digits = 2) {
  if (!isNumber(low) || !isNumber(high)) return "\u2013";
  return `[${fixed(low, digits, true)}, ${fixed(high, digits, true)}]`;
}

function seconds(value) {
  if (!isNumber(value)) return "\u2013";
  if (value < 1e-3) return `${(value * 1e6).toPrecision(3)} µs`;
  if (value < 1) return `${(value * 1e3).toPrecision(3)} ms`;
  return `${value < 100 ? value.toPrecision(3) : Math.round(value)} s`;
}

// Operating points are doubles: 0.0035 and 50 are both shown as they were typed.
const pointText = (value) => (isNumber(value) ? String(Number(value.toPrecision(12))) : String(value));

// Four to eight round ticks inside [low, high].
function niceTicks(low, high, wanted = 6) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999) || 10 * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * span; i += 1) ticks.push(i * step);
  return ticks;
}

function logTicks(low, high) {
  const few = Math.log10(high / low) > 1.6;
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const m of few ? [1] : [1, 2, 5]) {
      const tick = m * 10 ** power;
      if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(tick);
    }
  }
  return ticks;
}

function tickText(value, ticks) {
  const step = ticks.length > 1 ? Math.min(...ticks.slice(1).map((t, i) => t - ticks[i])) : 1;
  // As many digits as the tick's own value needs: a label must never be a rounded one.
  let digits = 0;
  while (digits < 6 && ticks.some((t) => Math.abs(Number(t.toFixed(digits)) - t) > 1e-6 * step)) digits += 1;
  return fixed(value, digits);
}

// A star of n points whose inner corners lie at `inner` of the radius r; 1 gives a polygon.
function ngon(n, r, inner, turn = 0) {
  const corner = (k) => {
    const radius = k % 2 ? r * (inner === 1 ? Math.cos(Math.PI / n) : inner) : r;
    const angle = (k * Math.PI) / n - Math.PI / 2 + turn;
    return `${(radius * Math.cos(angle)).toFixed(2)} ${(radius * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${Array.from({ length: 2 * n }, (_, k) => corner(k)).join(" L ")} Z`;
}

// The outlines of the paper's markers, as SVG paths around (0, 0).
function markerPath(index, r) {
  const s = r * 0.9;
  const t = r * 1.15;
  const shapes = [
    `M ${r} 0 A ${r} ${r} 0 1 1 ${-r} 0 A ${r} ${r} 0 1 1 ${r} 0 Z`,
    `M ${-s} ${-s} H ${s} V ${s} H ${-s} Z`,
    `M 0 ${-t} L ${t} ${s} H ${-t} Z`,
    `M 0 ${-t} L ${t} 0 L 0 ${t} L ${-t} 0 Z`,
    `M 0 ${t} L ${t} ${-s} H ${-t} Z`,
    `M ${-r / 3} ${-r} H ${r / 3} V ${-r / 3} H ${r} V ${r / 3} H ${r / 3} V ${r} H ${-r / 3} V ${r / 3} H ${-r} V ${-r / 3} H ${-r / 3} Z`,
    `M ${-t} 0 L ${s} ${-t} V ${t} Z`,
    ngon(4, r * 1.2, 0.5, Math.PI / 4),
    `M ${t} 0 L ${-s} ${-t} V ${t} Z`,
    ngon(5, r * 1.1, 1),
    ngon(5, r * 1.5, 0.42),
  ];
  return shapes[index % shapes.length];
}
