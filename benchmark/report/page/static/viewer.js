// Decoded images side by side: slider, flicker, three panes, error map; one zoom and one centre for all panes.
"use strict";

const ORIGINAL = "original";

class Viewer {
  // kept: {images: {name: {original, width, height}}, codecs: {name: {image: [{point, src, bpp, and each metric by its key}]}}}
  // pointName: codec => what its operating point is called; order: codecs, best first, the anchor last.
  constructor(host, kept, metricText, pointName, order) {
    Object.assign(this, { kept, metricText, pointName });
    this.stage = byId("viewer-stage");
    const names = order.filter((name) => kept.codecs[name]);
    names.push(...Object.keys(kept.codecs).filter((name) => !names.includes(name)));
    const anchor = names.includes(order.at(-1)) ? order.at(-1) : names[1];
    this.state = { image: Object.keys(kept.images)[0], a: names[0], b: anchor && anchor !== names[0] ? anchor : ORIGINAL, index: null, mode: "slider", split: 50, shown: 1, gain: 8 };
    this.zoom = { z: 0, cx: 0.5, cy: 0.5 };
    this.controls();
    new ResizeObserver(() => this.transform()).observe(this.stage);
    this.render();
  }

  controls() {
    this.choose("viewer-image", Object.keys(this.kept.images), "image", () => { this.zoom.z = 0; });
    const sides = [...Object.keys(this.kept.codecs), ORIGINAL];
    this.choose("viewer-a", sides.filter((s) => s !== ORIGINAL), "a");
    this.choose("viewer-b", sides, "b");
    this.input("viewer-rate", (v) => { this.state.index = v; this.render(); });
    this.input("viewer-split", (v) => { this.state.split = v; this.reveal(); });
    this.input("viewer-gain", (v) => { this.state.gain = v; this.gain(); });
    for (const radio of document.getElementsByName("viewer-mode")) {
      radio.addEventListener("change", () => { this.state.mode = radio.value; this.render(); });
    }
    byId("viewer-flick").addEventListener("click", () => this.flick());
    byId("viewer-in").addEventListener("click", () => this.zoomBy(1.5));
    byId("viewer-out").addEventListener("click", () => this.zoomBy(1 / 1.5));
    byId("viewer-one").addEventListener("click", () => { this.zoom.z = 1 / window.devicePixelRatio; this.transform(); });
    byId("viewer-fit").addEventListener("click", () => { this.zoom = { z: 0, cx: 0.5, cy: 0.5 }; this.transform(); });
    this.stage.addEventListener("keydown", (e) => this.key(e));
    this.stage.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    this.stage.addEventListener("pointerdown", (e) => this.grab(e));
    this.stage.addEventListener("pointermove", (e) => this.drag(e));
    for (const end of ["pointerup", "pointercancel"]) this.stage.addEventListener(end, () => { this.held = null; });
  }

  choose(id, names, key, also) {
    const select = byId(id);
    select.replaceChildren(...names.map((n) => el("option", { value: n }, n)));
    select.value = this.state[key];
    select.addEventListener("change", () => { this.state[key] = select.value; if (also) also(); this.render(); });
  }

  input(id, change) {
    const node = byId(id);
    node.addEventListener("input", () => change(Number(node.value)));
  }

  open(image) {
    if (!this.kept.images[image]) return false;
    this.state.image = image;
    byId("viewer-image").value = image;
    this.zoom.z = 0;
    this.render();
    return true;
  }

  points(codec) {
    return [...((this.kept.codecs[codec] || {})[this.state.image] || [])].sort((p, q) => p.bpp - q.bpp);
  }

  // A at the chosen point, B at the point whose rate on this image is nearest to A's (in ratio).
  pair() {
    const ofA = this.points(this.state.a);
    const a = ofA[Math.min(this.state.index, ofA.length - 1)];
    const info = this.kept.images[this.state.image];
    const source = { name: ORIGINAL, src: info.original, caption: "source image" };
    if (!a) return { source, a: null, b: null };
    const far = (p) => Math.abs(Math.log(p.bpp / a.bpp));
    const b = this.points(this.state.b).reduce((best, p) => (!best || far(p) < far(best) ? p : best), null);
    return { source, a: this.side(this.state.a, a, null), b: this.state.b === ORIGINAL ? source : b && this.side(this.state.b, b, a) };
  }

  side(name, p, reference) {
    const rate = reference ? ` (${percent(100 * (p.bpp / reference.bpp - 1), 1)} bits)` : "";
    return { name, src: p.src, caption: `${this.pointName(name)} ${pointText(p.point)}, ${fixed(p.bpp, 4)} bpp${rate}, ${this.metricText(p)}` };
  }

  render() {
    this.stopFlick();
    const slider = byId("viewer-rate");
    const count = this.points(this.state.a).length;
    slider.max = Math.max(0, count - 1);
    const middle = Math.floor((count - 1) / 2);
    this.state.index = Math.max(0, Math.min(this.state.index === null ? middle : this.state.index, count - 1));
    slider.value = this.state.index;
    const { source, a, b } = this.pair();
    const { mode } = this.state;
    for (const name of ["slider", "flicker", "panes", "error"]) {
      for (const node of document.querySelectorAll(`.only-${name}`)) node.hidden = mode !== name;
    }
    const problem = !a || !b ? `No decoded image of ${a ? this.state.b : this.state.a} was kept for ${this.state.image}.` : "";
    byId("viewer-problem").textContent = problem;
    if (problem) return this.stage.replaceChildren();
    const panes = {
      slider: () => [this.pane([a, b], "split")],
      flicker: () => [this.pane([source, a, b], "flicker")],
      panes: () => [this.pane([source]), this.pane([a]), this.pane([b])],
      error: () => [a, b].filter((s) => s !== source).map((s) => this.pane([source, s], "diff")),
    }[mode]();
    this.stage.className = `stage ${mode} n${panes.length}`;
    this.stage.replaceChildren(...panes);
    this.reveal();
    this.gain();
    this.flickTo(this.state.shown);
    return this.transform();
  }

  pane(layers, kind = "") {
    const { width, height } = this.kept.images[this.state.image];
    const images = layers.map((l) => el("img", { src: l.src, alt: `${this.state.image}, ${l.name}`, draggable: "false", width, height }));
    const shown = kind === "diff" ? layers.slice(1) : layers;
    const tags = shown.map((l, i) => el("span", { class: `tag${kind === "split" && i ? " right" : ""}` }, l.name));
    const sheet = (children, name) => el("div", { class: `sheet ${name}` }, children);
    const sheets = kind === "diff" ? [sheet(images, "diff")] : images.map((i) => sheet([i], ""));
    const frame = el("div", { class: `frame ${kind}`, style: `aspect-ratio: ${width} / ${height}; max-width: ${Math.max(width, 480)}px` }, sheets.map((s) => el("div", { class: "layer" }, s)), tags);
    const sides = { split: ["left: ", "right: "] }[kind] || ["", "", ""];
    const captions = shown.map((l, i) => el("div", {}, el("b", {}, sides[i] + l.name), " " + l.caption));
    return el("figure", { class: "pane" }, frame, el("figcaption", {}, captions));
  }

  reveal() {
    const top = this.stage.querySelector(".frame.split .layer:nth-child(2)");
    if (!top) return;
    top.style.clipPath = `inset(0 0 0 ${this.state.split}%)`;
    top.parentElement.style.setProperty("--split", `${this.state.split}%`);
    byId("viewer-split").value = this.state.split;
  }

  gain() {
    const g = (this.state.gain / 3).toFixed(4);
    const row = `${g} ${g} ${g} 0 0`;
    byId("heat-gain").setAttribute("values", `${row} ${row} ${row} 0 0 0 0 1`);
    byId("heat-top").textContent = `${Math.round(255 / this.state.gain)} grey levels or more`;
  }

  flickTo(which) {
    const layers = this.stage.querySelectorAll(".frame.flicker .layer");
    this.state.shown = which % Math.max(1, layers.length);
    this.stage.querySelectorAll(".frame.flicker .tag").forEach((tag, i) => { tag.hidden = i !== this.state.shown; });
    layers.forEach((layer, i) => { layer.style.visibility = i === this.state.shown ? "visible" : "hidden"; });
    this.stage.querySelectorAll(".flicker figcaption div").forEach((c, i) => c.classList.toggle("off", i !== this.state.shown));
  }

  // Twice a second: slow enough to be safe to look at.
  flick() {
    if (this.timer) return this.stopFlick();
    byId("viewer-flick").setAttribute("aria-pressed", "true");
    this.timer = setInterval(() => this.flickTo(this.state.shown === 1 ? 2 : 1), 500);
    return undefined;
  }

  stopFlick() {
    clearInterval(this.timer);
    this.timer = null;
    byId("viewer-flick").setAttribute("aria-pressed", "false");
  }

  transform() {
    const { width, height } = this.kept.images[this.state.image];
    byId("viewer-split").style.maxWidth = `${Math.max(width, 480)}px`; // as wide as the frame: the knob is below the line
    for (const frame of this.stage.querySelectorAll(".frame")) {
      const [w, h] = [frame.clientWidth, frame.clientHeight];
      if (!w) continue;
      const fit = Math.min(w / width, h / height);
      if (!this.zoom.z) this.zoom.z = fit;
      const z = Math.max(this.zoom.z, fit);
      this.zoom.z = Math.min(z, 32);
      const clamp = (c, size, room) => (size * z <= room ? 0.5 : Math.min(Math.max(c, room / 2 / (size * z)), 1 - room / 2 / (size * z)));
      this.zoom.cx = clamp(this.zoom.cx, width, w);
      this.zoom.cy = clamp(this.zoom.cy, height, h);
      const shift = `translate(${w / 2 - this.zoom.cx * width * z}px, ${h / 2 - this.zoom.cy * height * z}px) scale(${z})`;
      for (const sheet of frame.querySelectorAll(".sheet")) sheet.style.transform = shift;
      frame.classList.toggle("pixels", z * window.devicePixelRatio >= 2);
      frame.style.touchAction = z > fit * 1.01 ? "none" : "pan-y";
    }
    byId("viewer-zoom").textContent = `${Math.round(this.zoom.z * window.devicePixelRatio * 100)} %`;
  }

  zoomBy(factor) {
    this.zoom.z *= factor;
    this.transform();
  }

  move(dx, dy) {
    const { width, height } = this.kept.images[this.state.image];
    this.zoom.cx -= dx / (width * this.zoom.z);
    this.zoom.cy -= dy / (height * this.zoom.z);
    this.transform();
  }

  grab(event) {
    const frame = event.target.closest(".frame");
    if (!frame || event.button) return;
    this.held = { x: event.clientX, y: event.clientY, split: this.nearSplit(frame, event) ? frame : null };
    this.stage.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const over = event.target.closest && event.target.closest(".frame");
    if (over && !this.held) over.style.cursor = this.nearSplit(over, event) ? "col-resize" : "";
    if (!this.held) return;
    if (this.held.split) {
      const box = this.held.split.getBoundingClientRect();
      this.state.split = Math.min(100, Math.max(0, (100 * (event.clientX - box.left)) / box.width));
      this.reveal();
      return;
    }
    this.move(event.clientX - this.held.x, event.clientY - this.held.y);
    Object.assign(this.held, { x: event.clientX, y: event.clientY });
  }

  nearSplit(frame, event) {
    if (!frame.classList.contains("split")) return false;
    const box = frame.getBoundingClientRect();
    return Math.abs(event.clientX - box.left - (this.state.split / 100) * box.width) < 16;
  }

  // The page keeps its scrolling: the wheel zooms only with Ctrl, or while the stage has the focus.
  wheel(event) {
    if (!event.ctrlKey && !this.stage.contains(document.activeElement)) return;
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2);
  }

  key(event) {
    const step = 40;
    const act = {
      "+": () => this.zoomBy(1.5), "=": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), 0: () => { this.zoom.z = 0; this.transform(); },
      ArrowLeft: () => this.move(step, 0), ArrowRight: () => this.move(-step, 0),
      ArrowUp: () => this.move(0, step), ArrowDown: () => this.move(0, -step),
      1: () => this.flickTo(0), 2: () => this.flickTo(1), 3: () => this.flickTo(2), f: () => this.flick(),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  }
}
