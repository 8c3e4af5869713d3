// The ranges that charts open with, of the curves that are on: the rules of the report's pictures.
"use strict";

const between = (low, high, share) => { const pad = share * (high - low || 1); return [low - pad, high + pad]; };

// Where the first third of the curves have ended, or a little later (see layout.rd_window).
function fittedCurves(series, asked = {}) {
  const drawn = series.map((s) => s.points).filter((points) => points.length);
  if (!drawn.length) return { x: asked.x || [0, 1], y: asked.y || [20, 50] };
  const ends = drawn.map((points) => Math.max(...points.map((p) => p.x))).sort((a, b) => a - b);
  const third = ends[Math.ceil(ends.length / 3) - 1];
  const x = asked.x || [0, 1.04 * Math.max(...ends.filter((end) => end <= 1.5 * third))];
  const ys = drawn.flatMap((points) => qualitiesWithin([...points].sort((p, q) => p.x - q.x), x));
  const all = ys.length ? ys : drawn.flat().map((p) => p.y);
  return { x, y: asked.y || between(Math.min(...all), Math.max(...all), 0.04) };
}

// The qualities of a polyline's points in the range, and where it crosses the range's ends.
function qualitiesWithin(points, [left, right]) {
  const inside = points.filter((p) => p.x >= left && p.x <= right).map((p) => p.y);
  for (let i = 1; i < points.length; i += 1) {
    const [p, q] = [points[i - 1], points[i]];
    for (const end of [left, right]) {
      if (p.x < end && end < q.x) inside.push(p.y + ((q.y - p.y) * (end - p.x)) / (q.x - p.x));
    }
  }
  return inside;
}

// The qualities of the RD chart, and every rate but those far above most others (see layout.savings_view).
function fittedSavings(series, quality) {
  if (!series.length) return { x: [0, 1], y: [0, 1], beyond: [] };
  const xs = series.flatMap((s) => s.points.map((p) => p.x));
  const whole = [Math.min(...xs), Math.max(...xs)];
  const shared = [Math.max(quality[0], whole[0]), Math.min(quality[1], whole[1])];
  const x = shared[0] < shared[1] ? shared : whole;
  const seen = series.map((s) => ({ name: s.name, ys: s.points.filter((p) => p.x >= x[0] && p.x <= x[1]).map((p) => p.y) })).filter((s) => s.ys.length);
  const tops = seen.map((s) => Math.max(...s.ys)).sort((a, b) => a - b);
  const limit = Math.max(1.6 * tops[Math.floor((tops.length - 1) / 2)], 10);
  const top = Math.max(Math.min(tops[tops.length - 1], limit), 0);
  const bottom = Math.min(0, ...seen.flatMap((s) => s.ys));
  const y = between(bottom, top, 0.06);
  return { x, y, beyond: seen.filter((s) => Math.max(...s.ys) > y[1]).map((s) => s.name) };
}
