// One row of dots a codec, one dot an image: where the mean comes from, with its interval.
"use strict";

class StripChart {
  constructor(host, { onpick }) {
    this.host = host;
    this.onpick = onpick;
    this.rows = [];
    this.tip = el("div", { class: "tip", hidden: true });
    this.svg = svg("svg", { class: "chart strip", role: "img" });
    host.replaceChildren(this.svg, this.tip);
    new ResizeObserver(() => this.draw()).observe(host);
  }

  // rows: {name, look, values: [{image, value}], mean, low, high, median}
  show({ rows, label, selected, empty }) {
    Object.assign(this, { rows, label, selected, empty });
    this.draw();
  }

  range() {
    const all = this.rows.flatMap((r) => [...r.values.map((v) => v.value), r.low, r.high]).filter(isNumber);
    const low = Math.min(0, ...all);
    const high = Math.max(0, ...all);
    const pad = 0.04 * (high - low || 1);
    return [low - pad, high + pad];
  }

  draw() {
    const width = this.host.clientWidth;
    if (!width) return;
    const narrow = width < 560;
    const each = narrow ? 68 : 54;
    const left = narrow ? 14 : Math.min(0.4 * width, 24 + 7.2 * Math.max(0, ...this.rows.map((r) => r.name.length)));
    const height = this.rows.length * each + 50;
    const [a, b] = this.range();
    const x = (v) => left + ((v - a) / (b - a)) * (width - 14 - left);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("height", height);
    this.svg.setAttribute("aria-label", `${this.label}. The table below has the same numbers.`);
    const base = height - 42;
    const ticks = niceTicks(a, b, Math.max(3, Math.round(width / 110)));
    const axes = ticks.map((t) => svg("g", { class: "axes" },
      svg("path", { class: Math.abs(t) < 1e-9 ? "grid zero" : "grid", d: `M ${x(t)} 4 V ${base}` }),
      svg("text", { class: "xtick", x: x(t), y: base + 17 }, tickText(t, ticks))));
    const title = svg("text", { class: "xlabel", x: (left + width - 14) / 2, y: height - 6 }, this.rows.length ? this.label : this.empty);
    const rows = this.rows.map((r, i) => this.row(r, i * each + each / 2 + (narrow ? 8 : -4), x, narrow, left));
    this.svg.replaceChildren(svg("g", {}, this.rows.length ? axes : []), svg("g", { class: "axes" }, title), ...rows);
  }

  row(r, y, x, narrow, left) {
    const g = svg("g", { class: "series", style: ownColour(r.look) });
    g.append(narrow ? svg("text", { class: "name", x: left, y: y - 20 }, r.name)
      : svg("text", { class: "name end", x: left - 12, y: y + 4 }, r.name));
    for (const [v, dy] of this.swarm(r.values, x)) {
      const chosen = v.image === this.selected;
      const dot = svg("circle", {
        class: chosen ? "dot chosen" : "dot", cx: x(v.value).toFixed(2), cy: (y + dy).toFixed(2), r: chosen ? 5.5 : 3.4,
        onpointerenter: (e) => this.say(e.target, r, v), onpointerleave: () => { this.tip.hidden = true; },
        onclick: () => this.onpick(v.image, r.name),
      });
      g.append(dot);
    }
    const below = y + 23; // beside the dots, not over them
    if (isNumber(r.low)) g.append(svg("path", { class: "bar", d: `M ${x(r.low)} ${below - 4} V ${below + 4} M ${x(r.low)} ${below} H ${x(r.high)} M ${x(r.high)} ${below - 4} V ${below + 4}` }));
    if (isNumber(r.mean)) g.append(svg("path", { class: "mean", d: markerPath(3, 4.5), transform: `translate(${x(r.mean)} ${below})` }));
    return g;
  }

  // A beeswarm: each dot goes to the free height nearest to the middle, at most 12 pixels away.
  swarm(values, x) {
    const placed = [];
    return [...values].filter((v) => isNumber(v.value)).sort((p, q) => p.value - q.value).map((v) => {
      const px = x(v.value);
      let best = 0;
      for (const dy of [0, 6, -6, 12, -12]) {
        best = dy;
        if (!placed.slice(-60).some(([qx, qy]) => Math.hypot(px - qx, dy - qy) < 6.4)) break;
      }
      placed.push([px, best]);
      return [v, best];
    });
  }

  say(dot, r, v) {
    this.tip.replaceChildren(el("b", { style: ownColour(r.look) }, r.name), el("div", {}, v.image), el("div", {}, `BD-rate ${percent(v.value)}`));
    this.tip.hidden = false;
    const half = this.tip.offsetWidth / 2 + 4;
    const at = Number(dot.getAttribute("cx"));
    this.tip.style.left = `${Math.min(Math.max(at, half), this.host.clientWidth - half)}px`;
    this.tip.style.top = `${dot.getAttribute("cy")}px`;
    this.tip.classList.toggle("below", Number(dot.getAttribute("cy")) < 90);
  }
}
