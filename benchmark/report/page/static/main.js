// The page: one state (metric, anchor, image, codec), and every part drawn from it.
"use strict";

const DATA = JSON.parse(byId("data").textContent);
const MEAN = "";
const DEFAULTS = { metric: DATA.metrics[0].key, anchor: DATA.anchor, image: MEAN, hidden: new Set(DATA.offAtFirst), log: false };
const KNOWN = { metric: DATA.metrics.map((m) => m.key), anchor: DATA.codecs.map((c) => c.name), image: [MEAN, ...DATA.images], hidden: DATA.codecs.map((c) => c.name) };
const state = readAddress(DEFAULTS, KNOWN);
const looks = new Map(DATA.codecs.map((c) => [c.name, c]));
const imageAt = new Map(DATA.images.map((name, i) => [name, i]));
const metricOf = (key) => DATA.metrics.find((m) => m.key === key);
const comparisons = () => (DATA.comparisons[state.metric] || {})[state.anchor] || [];
let viewer = null;

const withUnit = (text, unit) => (unit ? `${text} ${unit}` : text);
const metricText = (p) => DATA.metrics.filter((m) => isNumber(p[m.key])).slice(0, 2)
  .map((m) => `${fixed(p[m.key], m.digits - 1)} ${m.unit || m.short}`).join(", ");

function series(name, points, subject, metric, faint = false) {
  const look = looks.get(name);
  return {
    name: look.text, look, faint,
    points: points.map(([point, bpp, quality, value]) => ({
      x: bpp, y: quality, lines: [
        subject, ...(point === null ? [] : [`${look.pointName} ${pointText(point)}`]), `${fixed(bpp, 4)} bpp`,
        `${metric.short} ${withUnit(fixed(quality, 3), metric.qualityUnit)}${metric.ownQuality ? "" : ` (${fixed(value, metric.digits)})`}`],
    })),
  };
}

function meanSeries(metric, faint = false) {
  return Object.entries(DATA.curves[metric.key]).filter(([name]) => !state.hidden.has(name)).map(([name, points]) => {
    const subject = looks.get(name).published ? "published mean, not measured here" : `mean of ${DATA.used[metric.key][name]} images`;
    return series(name, points, subject, metric, faint);
  });
}

function imageSeries(metric, image) {
  const at = imageAt.get(image);
  return Object.keys(DATA.perImage).filter((name) => !state.hidden.has(name)).map((name) => {
    const points = pointsOf(name, metric);
    return series(name, points.filter((p) => isNumber(p[1]) && isNumber(p[2])).sort((p, q) => p[1] - q[1]), image, metric);
  });
}

// The axes that the user asked for hold for means; a single image has its own.
const asked = (metric) => (state.image === MEAN ? DATA.axes[metric.key] : {});
const shownSeries = (metric) => (state.image === MEAN ? meanSeries(metric) : imageSeries(metric, state.image));

function drawCurves() {
  const metric = metricOf(state.metric);
  const shown = shownSeries(metric);
  const view = fittedCurves(shown, asked(metric));
  rdChart.show({ series: shown, xLabel: `Rate (bpp${state.log ? ", logarithmic" : ""})`, yLabel: metric.label, view, logX: state.log, empty: "Every curve is switched off." });
  byId("rd-note").textContent = `${state.image === MEAN ? `${DATA.scope}; ${metric.averaging}.` : `${state.image} alone.`} Protocol: ${DATA.protocol}.`;
}

const MAX_BANDS = 5; // with more curves their bands would cover one another

function drawSavings() {
  const metric = metricOf(state.metric);
  const found = Object.entries(((DATA.savings[state.metric] || {})[state.anchor]) || {}).filter(([name, s]) => s.rate.length > 1 && !state.hidden.has(name));
  const banded = found.length <= MAX_BANDS;
  const all = found.map(([name, s]) => ({
    name: looks.get(name).text, look: looks.get(name), bare: true,
    points: s.rate.map((rate, i) => ({
      x: s.from + i * s.step, y: rate, low: banded ? s.low[i] : null, high: banded ? s.high[i] : null,
      lines: [`at ${withUnit(fixed(s.from + i * s.step, 2), metric.qualityUnit)}: ${percent(rate)} rate`, `95 %: ${interval(s.low[i], s.high[i])}`],
    })),
  }));
  const view = fittedSavings(all, fittedCurves(meanSeries(metric), DATA.axes[metric.key]).y);
  savingsChart.show({ series: all, xLabel: metric.label, yLabel: `Rate against ${state.anchor} (%)`, view, zeroLine: true, empty: "No curve shares a quality range with this anchor." });
  byId("savings-note").textContent = `Mean curves at equal quality; below 0 is fewer bits than ${state.anchor}. ${banded ? bands(found) : `Bands are drawn for at most ${MAX_BANDS} codecs: switch others off.`}${view.beyond.length ? ` Beyond the range shown, wholly or in part: ${view.beyond.join(", ")}; "Show all points" shows them.` : ""}`;
}

// A published curve has no images: neither bands nor intervals are made against it.
const bands = (found) => (found.some(([, s]) => s.low.some(isNumber)) ? `Bands: 95 % of ${DATA.savingsResamples} paired bootstrap resamples over images that all codecs share.` : "No bands: there is nothing to resample.");
const intervals = (resamples) => (resamples ? `Intervals: 95 %, paired bootstrap over images, ${resamples.toLocaleString("en")} resamples, seeded.` : "No intervals: a published curve has no images to resample.");

const better = (c) => (c.images ? `${c.better} of ${c.images}` : "\u2013");
const methods = (c) => (c.methods ? ` (${Object.entries(c.methods).map(([name, rate]) => `${name} ${fixed(rate, 2, true)}`).join(", ")})` : "");
const meaning = (c, s) => DATA.meanings[s] + (s === "methods_disagree" ? methods(c) : "");
const placed = (text, where) => (where ? `${text} (${where})` : text);
const byVerdict = (c) => (isNumber(c.high) && c.high < 0 ? "good" : isNumber(c.low) && c.low > 0 ? "bad" : "");

const ALL_COLUMNS = [
  { title: "Codec", hint: "Sorts by name", left: true, text: (c) => c.codec, value: (c) => c.codec },
  { title: "BD-rate", hint: "The figure to quote, in percent: negative is fewer bits at equal quality", text: (c) => percent(c.rate), value: (c) => c.rate, className: byVerdict },
  { title: "95 % interval", hint: "Paired bootstrap over images; sorted by width", text: (c) => interval(c.low, c.high), value: (c) => (isNumber(c.low) ? c.high - c.low : null) },
  { title: "Status", hint: "What is doubtful in the figure", left: true, text: (c) => c.status, value: (c) => c.statuses.length, className: () => "status" },
  { title: "Figure", detail: true, hint: "Mean of images where both share operating points, else of the mean curves", left: true, text: (c) => c.headline, value: (c) => c.headline },
  { title: "Of mean curves", detail: true, hint: "BD-rate of the averaged curves", text: (c) => `${percent(c.meanRate)} ${interval(c.meanLow, c.meanHigh)}`, value: (c) => c.meanRate },
  { title: "Mean of images", detail: true, hint: "Mean of the per-image BD-rates", text: (c) => `${percent(c.imageRate)} ${interval(c.imageLow, c.imageHigh)}`, value: (c) => c.imageRate },
  { title: "Median", detail: true, hint: "Median of the per-image BD-rates", text: (c) => percent(c.median), value: (c) => c.median },
  { title: "Spread", detail: true, hint: "Standard deviation over images, in percentage points", text: (c) => fixed(c.spread, 2), value: (c) => c.spread },
  { title: "Better on", hint: "Images with a negative BD-rate", text: better, value: (c) => (c.images ? c.better / c.images : null) },
  { title: "BD-quality", hint: "Mean difference in quality at equal rate, of the mean curves", text: (c) => (isNumber(c.quality) ? withUnit(fixed(c.quality, 3, true), metricOf(state.metric).qualityUnit) : "\u2013"), value: (c) => c.quality },
  { title: "Encode", hint: "Median time per megapixel", text: (c) => seconds(speedOf(c.codec, "encode")), value: (c) => speedOf(c.codec, "encode") },
  { title: "Decode", hint: "Median time per megapixel", text: (c) => seconds(speedOf(c.codec, "decode")), value: (c) => speedOf(c.codec, "decode") },
];

const bdColumns = () => ALL_COLUMNS.filter((c) => !c.detail || byId("bd-details").checked);

const speedOf = (codec, side) => (DATA.speeds[codec] ? DATA.speeds[codec][side] : null);

function drawTables() {
  const rows = comparisons();
  const metric = metricOf(state.metric);
  bdTable.caption = `BD-rate on ${metric.short} against ${state.anchor}: ${DATA.scope}, ${metric.averaging}`;
  bdTable.show(rows);
  byId("doubts").replaceChildren(...doubts(rows).map((text) => el("li", {}, text)));
  const resamples = rows.length ? Math.max(...rows.map((c) => c.resamples)) : 0;
  byId("bd").hidden = !rows.length;
  byId("bd-note").textContent = !rows.length ? `One codec (${state.anchor}): nothing to compare with.` : `PCHIP through log rate over ${metric.qualityUnit || "quality"}. ${intervals(resamples)} Times: ${DATA.timeNote}`;
  byId("headline").textContent = state.image === MEAN ? sentence(rows, metric) : imageSentence(rows, metric);
  stripChart.show({
    rows: rows.filter((c) => c.values && !state.hidden.has(c.codec)).sort((p, q) => (p.imageRate ?? 0) - (q.imageRate ?? 0)).map((c) => ({
      name: looks.get(c.codec).text, look: looks.get(c.codec), values: c.values.map((value, i) => ({ image: DATA.images[i], value })),
      mean: c.imageRate, low: c.imageLow, high: c.imageHigh,
    })),
    label: `BD-rate on ${metric.short} against ${state.anchor} (%)`, selected: state.image, empty: "No per-image figures against a published curve.",
  });
  drawImageTable(rows.filter((c) => c.values), metric);
}

// One line a doubt, with the codecs concerned; that of the methods has each codec's figures.
function doubts(rows) {
  const said = rows.flatMap((c) => c.statuses.map(([s, where]) => ({ c, s, where })));
  return [...new Set(said.map((d) => d.s))].map((s) => {
    const held = said.filter((d) => d.s === s);
    const groups = [...new Set(held.map((d) => d.where))].map((where) => placed(named(held.filter((d) => d.where === where).map((d) => d.c), rows, s), where));
    return `${DATA.meanings[s]}: ${groups.join("; ")}`;
  });
}

function named(codecs, rows, status) {
  if (status === "methods_disagree") return codecs.map((c) => c.codec + methods(c)).join(", ");
  const others = rows.filter((c) => !codecs.includes(c)).map((c) => c.codec);
  if (codecs.length < 2 || others.length > 2) return codecs.map((c) => c.codec).join(", ");
  return others.length ? `all but ${others.join(" and ")}` : "all";
}

function sentence(rows, metric) {
  const best = rows.find((c) => isNumber(c.rate));
  if (!best) return "";
  const size = Math.abs(best.rate).toFixed(1);
  const sure = isNumber(best.low) ? `, 95 % interval ${fixed(best.low, 1, true)} to ${fixed(best.high, 1, true)} %` : ", no interval: the anchor has no per-image results";
  const images = best.images ? `; better on ${best.better} of ${best.images} images` : "";
  const doubt = best.statuses.length ? ` Mind: ${best.statuses.map(([s, where]) => placed(meaning(best, s), where)).join("; ")}.` : "";
  const lead = best.rate > 0 && rows.length > 1 ? `No codec needs fewer bits than ${state.anchor}; the nearest: ` : "";
  return `${lead}${best.codec} needs ${size} % ${best.rate < 0 ? "fewer" : "more"} bits than ${state.anchor} at equal ${metric.short}${sure}${images}.${doubt}`;
}

function imageSentence(rows, metric) {
  const at = imageAt.get(state.image);
  const found = rows.filter((c) => c.values && isNumber(c.values[at])).sort((p, q) => p.values[at] - q.values[at]);
  if (!found.length) return `${state.image}: no codec has a BD-rate against ${state.anchor} on this image.`;
  const [best, rate] = [found[0], found[0].values[at]];
  const lead = rate > 0 && found.length > 1 ? `no codec needs fewer bits than ${state.anchor}; the nearest: ` : "";
  const mean = isNumber(best.imageRate) ? ` Its mean over ${best.images} images: ${percent(best.imageRate, 1)}.` : "";
  return `On ${state.image} alone ${lead}${best.codec} needs ${Math.abs(rate).toFixed(1)} % ${rate < 0 ? "fewer" : "more"} bits than ${state.anchor} at equal ${metric.short}.${mean}`;
}

function drawImageTable(rows, metric) {
  imageTable.columns = [
    { title: "Image", hint: "Opens the image", left: true, text: (r) => r.image, value: (r) => r.image },
    ...rows.map((c) => ({
      title: c.codec, hint: `BD-rate of ${c.codec} in percent`, text: (r) => percent(r[c.codec]), value: (r) => r[c.codec],
      className: (r) => (r[c.codec] < 0 ? "good" : r[c.codec] > 0 ? "bad" : ""),
    })),
  ];
  imageTable.sort = Math.min(imageTable.sort, rows.length);
  imageTable.caption = `BD-rate on ${metric.short} against ${state.anchor}, image by image${DATA.imagesNote ? ` (${DATA.imagesNote})` : ""}`;
  imageTable.show(DATA.images.map((image, i) => Object.assign({ image }, Object.fromEntries(rows.map((c) => [c.codec, c.values[i]])))), state.image);
}

function drawDetail() {
  byId("detail").hidden = state.image === MEAN;
  if (state.image === MEAN) return;
  const metric = metricOf(state.metric);
  const at = imageAt.get(state.image);
  byId("detail-title").textContent = state.image;
  const shown = imageSeries(metric, state.image);
  detailChart.show({ series: [...meanSeries(metric, true), ...shown], xLabel: "Rate (bpp)", yLabel: metric.label, view: fittedCurves(shown), empty: "No results for this image." });
  const rows = Object.entries(DATA.perImage).flatMap(([codec, c]) => c.points.map((point, i) => Object.assign(
    { codec, point, bpp: (c.bpp[at] || [])[i] }, Object.fromEntries(DATA.metrics.map((m) => [m.key, ((c.metrics[m.key] || [])[at] || [])[i]])))));
  pointTable.caption = `${state.image}: every measured point`;
  pointTable.show(rows.filter((r) => isNumber(r.bpp)));
  const kept = viewer && viewer.kept.images[state.image];
  byId("detail-view").hidden = !kept;
}

// BD-rate over coding time: a codec is one mark; the anchor stands at zero.
function drawTimes() {
  const side = byId("time-side").value;
  const metric = metricOf(state.metric);
  const timed = [{ codec: state.anchor, rate: 0 }, ...comparisons()].filter((c) => DATA.speeds[c.codec] && !state.hidden.has(c.codec));
  const rows = timed.filter((c) => isNumber(c.rate));
  const without = timed.filter((c) => !isNumber(c.rate)).map((c) => c.codec);
  const marks = rows.map((c) => {
    const [x, look] = [speedOf(c.codec, side), looks.get(c.codec)];
    const rate = c.codec === state.anchor ? "the anchor" : `BD-rate ${percent(c.rate)} ${interval(c.low, c.high)}`;
    return { name: look.text, look, named: true, points: [{ x, y: c.rate, lines: [`${side} ${seconds(x)} per megapixel`, rate] }] };
  });
  const [xs, ys] = [marks.map((m) => m.points[0].x), marks.map((m) => m.points[0].y)];
  const pad = 0.15 * (Math.max(...ys) - Math.min(...ys) || 1);
  const view = marks.length ? { x: [Math.min(...xs) / 2, Math.max(...xs) * 3], y: [Math.min(...ys) - pad, Math.max(...ys) + pad] } : { x: [0.1, 1], y: [0, 1] };
  timeChart.show({ series: marks, xLabel: `${side === "encode" ? "Encoding" : "Decoding"} time (s per megapixel, logarithmic)`, yLabel: `${metric.short} BD-rate (%)`, view, logX: true, zeroLine: true, empty: "No comparable times." });
  byId("time-note").textContent = `Lower left is better. Times: ${DATA.timeNote}${without.length ? ` No BD-rate, not shown: ${without.join(", ")}.` : ""}`;
}

function drawLegend() {
  const codecs = DATA.codecs.filter((c) => DATA.curves[state.metric][c.name]);
  const more = codecs.filter((c) => c.more);
  legends.rd.show(codecs.filter((c) => !c.more));
  legends.savings.show(codecs.filter((c) => !c.published));
  legends.time.show(codecs.filter((c) => !c.published));
  legends.published.show(more);
  byId("legend-more").hidden = !more.length;
}

// The points of one codec, as they are shown: of the mean, or of the image that is chosen.
function pointsOf(name, metric) {
  if (state.image === MEAN || !DATA.perImage[name]) return DATA.curves[metric.key][name] || [];
  const [c, at] = [DATA.perImage[name], imageAt.get(state.image)];
  const values = c.metrics[metric.key];
  const qualities = c.qualities[metric.key] || values;
  return values && values[at] ? c.points.map((point, i) => [point, c.bpp[at][i], qualities[at][i], values[at][i]]) : [];
}

function drawMatching() {
  const metric = metricOf(state.metric);
  const names = Object.keys(DATA.curves[metric.key]);
  for (const [id, first] of [["match-a", names.find((n) => n !== state.anchor)], ["match-b", state.anchor]]) {
    const kept = names.includes(byId(id).value) ? byId(id).value : first;
    fillSelect(id, names.map((n) => [n, looks.get(n).text]), kept);
  }
  const [a, b] = ["match-a", "match-b"].map((id) => looks.get(byId(id).value));
  if (!a || !b) return;
  const [ours, theirs] = [pointsOf(a.name, metric), pointsOf(b.name, metric)];
  matchTable.columns = matchColumns(a, b, metric);
  matchTable.caption = `${a.text}, each point beside the nearest of ${b.text} by ${byId("match-by").value}: ${state.image === MEAN ? DATA.scope : state.image}`;
  matchTable.show(theirs.length ? matches(ours, theirs, byId("match-by").value === "rate" ? 1 : 2) : []);
}

function fillSelect(id, entries, value) {
  byId(id).replaceChildren(...entries.map(([v, text]) => el("option", { value: v }, text)));
  byId(id).value = value;
}

function fillAnchors() {
  const known = Object.keys(DATA.comparisons[state.metric]);
  if (!known.includes(state.anchor)) state.anchor = known.includes(DATA.anchor) ? DATA.anchor : known[0];
  fillSelect("anchor", known.map((a) => [a, a]), state.anchor);
}

function showState() {
  fillSelect("metric", DATA.metrics.map((m) => [m.key, m.label]), state.metric);
  byId("image").value = state.image;
  byId("log").checked = state.log;
  fillAnchors();
}

function choose(image, scroll) {
  state.image = image;
  byId("image").value = image;
  drawAll();
  if (scroll && image !== MEAN) byId("detail").scrollIntoView({ block: "nearest" });
}

function drawAll() {
  for (const draw of [drawLegend, drawCurves, drawSavings, drawTables, drawTimes, drawDetail, drawMatching]) draw();
  writeAddress(state, DEFAULTS);
}

const rdChart = new LineChart(byId("rd"), { label: "Rate-distortion curves", height: 440 });
const savingsChart = new LineChart(byId("savings"), { label: "Rate savings over quality", height: 380 });
const detailChart = new LineChart(byId("detail-chart"), { label: "Rate-distortion curves of one image", height: 360 });
const timeChart = new LineChart(byId("time"), { label: "BD-rate over coding time", height: 340 });
const stripChart = new StripChart(byId("strip"), { onpick: (image) => choose(image, true) });
const bdTable = new SortedTable(byId("bd"), { caption: "", columns: ALL_COLUMNS.filter((c) => !c.detail), sort: 1 });
const imageTable = new SortedTable(byId("images"), { caption: "", columns: [], onrow: (r) => () => choose(r.image, true) });
const matchTable = new SortedTable(byId("match"), { caption: "", columns: [] });
const legends = Object.fromEntries([["rd", "legend"], ["savings", "legend-savings"], ["time", "legend-time"], ["published", "legend-published"]]
  .map(([name, id]) => [name, new Legend(byId(id), state.hidden, drawAll)]));
const pointTable = new SortedTable(byId("points"), {
  caption: "", limit: 15, columns: [
    { title: "Codec", left: true, hint: "", text: (r) => r.codec, value: (r) => r.codec },
    { title: "Point", hint: "Operating point", text: (r) => `${looks.get(r.codec).pointName} ${pointText(r.point)}`, value: (r) => r.point },
    { title: "bpp", hint: "Bits per pixel, header included", text: (r) => fixed(r.bpp, 4), value: (r) => r.bpp },
    ...DATA.metrics.map((m) => ({ title: m.unit ? `${m.short} (${m.unit})` : m.short, hint: m.label, text: (r) => fixed(r[m.key], m.digits), value: (r) => r[m.key] })),
  ],
});

fillSelect("image", [[MEAN, `mean (${DATA.scope})`], ...DATA.images.map((i) => [i, i])], state.image);
showState();
byId("metric").addEventListener("change", (e) => { state.metric = e.target.value; fillAnchors(); drawAll(); });
byId("anchor").addEventListener("change", (e) => { state.anchor = e.target.value; drawAll(); });
byId("image").addEventListener("change", (e) => choose(e.target.value, false));
byId("log").addEventListener("change", (e) => { state.log = e.target.checked; drawAll(); });
byId("bd-details").addEventListener("change", () => { bdTable.columns = bdColumns(); bdTable.sort = 1; drawTables(); });
for (const id of ["match-a", "match-b", "match-by"]) byId(id).addEventListener("change", drawMatching);
window.addEventListener("hashchange", () => {
  const { hidden, ...rest } = readAddress(DEFAULTS, KNOWN);
  Object.assign(state, rest);
  state.hidden.clear();
  hidden.forEach((name) => state.hidden.add(name));
  showState();
  drawAll();
});
byId("time-side").addEventListener("change", drawTimes);
byId("rd-all").addEventListener("click", () => rdChart.everything());
byId("savings-all").addEventListener("click", () => savingsChart.everything());
byId("savings-reset").addEventListener("click", () => savingsChart.reset());
byId("rd-reset").addEventListener("click", () => rdChart.reset());
byId("detail-close").addEventListener("click", () => choose(MEAN, false));
byId("detail-view").addEventListener("click", () => { viewer.open(state.image); byId("viewer").scrollIntoView(); });
if (DATA.kept) viewer = new Viewer(byId("viewer"), DATA.kept, metricText, (name) => looks.get(name).pointName, [...comparisons().map((c) => c.codec), state.anchor]);
drawAll();
