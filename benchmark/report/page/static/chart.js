// A line chart in SVG: axes, series with markers, hover, drag to zoom, arrow keys from point to point.
"use strict";

const CHART = { left: 62, right: 14, top: 12, bottom: 46, reach: 40 };

// series: {name, look: {colour, dash, marker, published}, faint, bare, named, points: [{x, y, low?, high?, lines: [text]}]}
class LineChart {
  constructor(host, { label, height = 420 }) {
    this.host = host;
    this.height = height;
    this.series = [];
    this.tip = el("div", { class: "tip", hidden: true });
    this.live = el("div", { class: "unseen", "aria-live": "polite" });
    this.svg = svg("svg", {
      class: "chart", tabindex: "0", role: "group", "aria-label": label + ". Arrow keys move from point to point.",
      onpointermove: (e) => this.hover(e), onpointerleave: () => this.pick(null),
      onpointerdown: (e) => this.press(e), onpointerup: (e) => this.release(e),
      onpointercancel: () => this.cancel(), ondblclick: () => this.reset(),
      onkeydown: (e) => this.key(e), onblur: () => this.pick(null),
    });
    host.replaceChildren(this.svg, this.tip, this.live);
    new ResizeObserver(() => this.draw()).observe(host);
  }

  // view: {x: [low, high], y: [low, high]} is where the chart opens; a zoom lives until the next reset.
  show({ series, xLabel, yLabel, view, logX = false, zeroLine = false, empty = "" }) {
    Object.assign(this, { series, xLabel, yLabel, home: view, logX, zeroLine, empty });
    this.view = null;
    this.picked = null;
    this.draw();
  }

  reset() {
    this.view = null;
    this.draw();
  }

  everything() {
    const points = this.series.flatMap((s) => s.points);
    if (!points.length) return;
    const pad = (low, high, share) => [low - share * (high - low || 1), high + share * (high - low || 1)];
    const xs = points.map((p) => p.x);
    const ys = points.map((p) => p.y);
    const [x0, x1] = pad(Math.min(...xs), Math.max(...xs), 0.03);
    this.view = { x: [this.logX ? Math.min(...xs) * 0.9 : Math.max(0, x0), x1], y: pad(Math.min(...ys), Math.max(...ys), 0.05) };
    this.draw();
  }

  scales() {
    const width = Math.max(260, this.host.clientWidth);
    const area = { x0: CHART.left, x1: width - CHART.right, y0: this.height - CHART.bottom, y1: CHART.top };
    const view = this.view || this.home;
    const of = (v) => (this.logX ? Math.log10(v) : v);
    const back = (v) => (this.logX ? 10 ** v : v);
    const low = this.logX ? Math.max(view.x[0], view.x[1] / 1e7, this.smallest()) : view.x[0];
    const [a, b] = [of(low), of(view.x[1])];
    const [c, d] = view.y;
    return {
      width, area, view: { x: [low, view.x[1]], y: view.y },
      x: (v) => area.x0 + ((of(v) - a) / (b - a)) * (area.x1 - area.x0),
      y: (v) => area.y0 + ((v - c) / (d - c)) * (area.y1 - area.y0),
      xBack: (p) => back(a + ((p - area.x0) / (area.x1 - area.x0)) * (b - a)),
      yBack: (p) => c + ((p - area.y0) / (area.y1 - area.y0)) * (d - c),
    };
  }

  smallest() {
    const xs = this.series.flatMap((s) => s.points.map((p) => p.x)).filter((x) => x > 0);
    return xs.length ? Math.min(...xs) * 0.9 : 0.01;
  }

  draw() {
    if (!this.home || !this.host.clientWidth) return;
    const scale = this.scales();
    this.scale = scale;
    this.svg.setAttribute("viewBox", `0 0 ${scale.width} ${this.height}`);
    this.svg.setAttribute("height", this.height);
    const clip = `clip-${this.host.id}`;
    const { area } = scale;
    this.taken = this.series.filter((s) => s.named).flatMap((s) => s.points.map((p) => ({ x: scale.x(p.x) - 5, y: scale.y(p.y) + 5, width: 10, height: 10 })));
    const body = svg("g", { "clip-path": `url(#${clip})` }, this.series.map((s) => this.line(s, scale)));
    this.dots = svg("g", { "clip-path": `url(#${clip})` }, this.series.map((s) => this.markers(s, scale)));
    this.ring = svg("circle", { class: "ring", r: 8, visibility: "hidden" });
    this.band = svg("rect", { class: "band", visibility: "hidden" });
    const frame = svg("clipPath", { id: clip }, svg("rect", {
      x: area.x0, y: area.y1, width: area.x1 - area.x0, height: area.y0 - area.y1,
    }));
    const none = this.series.length ? null : svg("text", { class: "empty", x: (area.x0 + area.x1) / 2, y: (area.y0 + area.y1) / 2 }, this.empty);
    this.svg.replaceChildren(frame, this.axes(scale), body, this.dots, this.ring, this.band, none || "");
    if (this.picked) this.pick(this.picked);
  }

  axes({ area, x, y, view, width }) {
    const g = svg("g", { class: "axes" });
    const wanted = Math.max(4, Math.round(width / 110));
    const xs = this.logX ? logTicks(...view.x) : niceTicks(...view.x, wanted);
    const ys = niceTicks(...view.y, 7);
    for (const t of xs) {
      const text = this.logX ? String(Number(t.toPrecision(3))) : tickText(t, xs);
      g.append(svg("path", { class: "grid", d: `M ${x(t)} ${area.y0} V ${area.y1}` }),
        svg("text", { class: "xtick", x: x(t), y: area.y0 + 18 }, text));
    }
    for (const t of ys) {
      const zero = this.zeroLine && Math.abs(t) < 1e-9 ? " zero" : "";
      g.append(svg("path", { class: "grid" + zero, d: `M ${area.x0} ${y(t)} H ${area.x1}` }),
        svg("text", { class: "ytick", x: area.x0 - 8, y: y(t) + 4 }, tickText(t, ys)));
    }
    const middle = (area.y0 + area.y1) / 2;
    g.append(svg("path", { class: "spine", d: `M ${area.x0} ${area.y1} V ${area.y0} H ${area.x1}` }),
      svg("text", { class: "xlabel", x: (area.x0 + area.x1) / 2, y: this.height - 8 }, this.xLabel),
      svg("text", { class: "ylabel", transform: `translate(15 ${middle}) rotate(-90)` }, this.yLabel));
    return g;
  }

  line(s, { x, y }) {
    const at = s.points.map((p) => `${x(p.x).toFixed(2)} ${y(p.y).toFixed(2)}`);
    const g = svg("g", { class: `series d${s.look.dash}${s.look.published ? " dashed" : ""}${s.faint ? " faint" : ""}`, style: ownColour(s.look) });
    const sure = s.points.filter((p) => isNumber(p.low) && isNumber(p.high));
    if (sure.length > 1) {
      const up = sure.map((p) => `${x(p.x).toFixed(2)} ${y(p.high).toFixed(2)}`);
      const down = sure.map((p) => `${x(p.x).toFixed(2)} ${y(p.low).toFixed(2)}`).reverse();
      g.append(svg("path", { class: "sure", d: `M ${up.join(" L ")} L ${down.join(" L ")} Z` }));
    }
    if (at.length > 1) g.append(svg("path", { class: "curve", d: `M ${at.join(" L ")}` }));
    return g;
  }

  markers(s, { x, y }) {
    if (s.faint || s.bare) return svg("g");
    const shape = markerPath(s.look.marker, 4.2);
    const names = s.named ? s.points.map((p) => this.name(s.name, x(p.x), y(p.y))) : [];
    return svg("g", { class: `series${s.look.published ? " hollow" : ""}`, style: ownColour(s.look) }, names, s.points.map((p) =>
      svg("path", { class: "dot", d: shape, transform: `translate(${x(p.x).toFixed(2)} ${y(p.y).toFixed(2)})` })));
  }

  // A mark's name beside it where that hides neither a mark nor another name; else the legend has to do.
  name(text, px, py) {
    const width = 7.2 * text.length;
    const [area, height] = [this.scale.area, 14];
    const spots = [[px + 9, py - 6], [px + 9, py + 15], [px - 9 - width, py - 6], [px - 9 - width, py + 15], [px - width / 2, py - 11], [px - width / 2, py + 21]];
    const apart = ([x, y]) => x > area.x0 && x + width < area.x1 && y - height > area.y1 && y < area.y0
      && this.taken.every((b) => x + width < b.x || x > b.x + b.width || y < b.y - b.height || y - height > b.y);
    const spot = spots.find(apart);
    if (!spot) return svg("g");
    this.taken.push({ x: spot[0], y: spot[1], width, height });
    return svg("text", { class: "name", x: spot[0], y: spot[1] }, text);
  }

  place(event) {
    const box = this.svg.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.scale.width, ((event.clientY - box.top) / box.height) * this.height];
  }

  inside(p) {
    const { view } = this.scale;
    return p.x >= view.x[0] && p.x <= view.x[1] && p.y >= view.y[0] && p.y <= view.y[1];
  }

  hover(event) {
    if (!this.scale) return;
    const [px, py] = this.place(event);
    if (this.from) return this.drawBand(px, py);
    let best = null;
    let reach = CHART.reach;
    this.series.forEach((s, i) => {
      if (s.faint) return;
      s.points.forEach((p, j) => {
        const distance = Math.hypot(this.scale.x(p.x) - px, this.scale.y(p.y) - py);
        if (distance < reach && this.inside(p)) [best, reach] = [[i, j], distance];
      });
    });
    return this.pick(best);
  }

  pick(which) {
    this.picked = which;
    const p = which && this.series[which[0]] && this.series[which[0]].points[which[1]];
    if (!p || !this.inside(p)) {
      this.tip.hidden = true;
      if (this.ring) this.ring.setAttribute("visibility", "hidden");
      return;
    }
    const s = this.series[which[0]];
    const [cx, cy] = [this.scale.x(p.x), this.scale.y(p.y)];
    this.ring.setAttribute("cx", cx);
    this.ring.setAttribute("cy", cy);
    this.ring.setAttribute("visibility", "visible");
    this.tip.replaceChildren(el("b", { style: ownColour(s.look) }, s.name), ...p.lines.map((line) => el("div", {}, line)));
    this.tip.hidden = false;
    const half = this.tip.offsetWidth / 2 + 4;
    const shown = this.svg.getBoundingClientRect();
    const at = (cx / this.scale.width) * shown.width;
    this.tip.style.left = `${Math.min(Math.max(at, half), shown.width - half)}px`;
    this.tip.style.top = `${(cy / this.height) * shown.height}px`;
    this.tip.classList.toggle("below", cy < this.tip.offsetHeight + 24);
    this.live.textContent = [s.name, ...p.lines].join(", ");
  }

  press(event) {
    if (event.pointerType !== "mouse" || event.button !== 0 || !this.scale) return;
    this.from = this.place(event);
    this.svg.setPointerCapture(event.pointerId);
  }

  drawBand(px, py) {
    const [x, y] = [Math.min(px, this.from[0]), Math.min(py, this.from[1])];
    const size = { x, y, width: Math.abs(px - this.from[0]), height: Math.abs(py - this.from[1]), visibility: "visible" };
    for (const [name, value] of Object.entries(size)) this.band.setAttribute(name, value);
  }

  cancel() {
    this.from = null;
    if (this.band) this.band.setAttribute("visibility", "hidden");
  }

  release(event) {
    const from = this.from;
    this.cancel();
    if (!from) return;
    const to = this.place(event);
    if (Math.abs(to[0] - from[0]) < 8 || Math.abs(to[1] - from[1]) < 8) return;
    const sorted = (a, b) => [Math.min(a, b), Math.max(a, b)];
    this.view = {
      x: sorted(this.scale.xBack(from[0]), this.scale.xBack(to[0])),
      y: sorted(this.scale.yBack(from[1]), this.scale.yBack(to[1])),
    };
    this.picked = null;
    this.draw();
  }

  key(event) {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
    if (event.key === "Escape") this.reset();
    if (!step) return;
    event.preventDefault();
    const solid = this.series.map((s, i) => [s, i]).filter(([s]) => !s.faint && s.points.length).map(([, i]) => i);
    if (!solid.length) return;
    let [i, j] = this.picked || [solid[0], step[1] > 0 ? -1 : 0];
    if (step[0]) i = solid[(solid.indexOf(i) + step[0] + solid.length) % solid.length];
    j = Math.min(Math.max(j + step[1], 0), this.series[i].points.length - 1);
    if (!this.inside(this.series[i].points[j])) this.everything();
    this.pick([i, j]);
  }
}
