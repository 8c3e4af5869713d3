// For each point of one codec the nearest of another, at equal rate or at equal quality.
"use strict";

// points: [point, bpp, quality, value]; by: 1 for rate, 2 for quality.
function matches(ours, theirs, by) {
  const gap = (p, q) => (by === 1 ? Math.abs(Math.log(p[1] / q[1])) : Math.abs(p[2] - q[2]));
  return ours.filter((p) => isNumber(p[1]) && isNumber(p[2])).map((p) => {
    const near = theirs.filter((q) => isNumber(q[1]) && isNumber(q[2])).sort((q, r) => gap(p, q) - gap(p, r))[0];
    return { ours: p, theirs: near, ratio: p[1] / near[1], difference: p[2] - near[2] };
  });
}

function matchColumns(a, b, metric) {
  const name = (look, p) => (p[0] === null ? look.text : `${look.pointName} ${pointText(p[0])}`);
  const quality = (p) => withUnit(fixed(p[2], 3), metric.qualityUnit);
  return [
    { title: a.text, hint: "Operating point", left: true, text: (r) => name(a, r.ours), value: (r) => r.ours[1] },
    { title: "bpp", hint: "Bits per pixel", text: (r) => fixed(r.ours[1], 4), value: (r) => r.ours[1] },
    { title: metric.short, hint: "Quality", text: (r) => quality(r.ours), value: (r) => r.ours[2] },
    { title: b.text, hint: "The nearest operating point", left: true, text: (r) => name(b, r.theirs), value: (r) => r.theirs[1] },
    { title: "bpp", hint: "Bits per pixel", text: (r) => fixed(r.theirs[1], 4), value: (r) => r.theirs[1] },
    { title: metric.short, hint: "Quality", text: (r) => quality(r.theirs), value: (r) => r.theirs[2] },
    { title: "Ratio of rates", hint: `Bits of ${a.text} over those of ${b.text}`, text: (r) => fixed(r.ratio, 3), value: (r) => r.ratio },
    { title: "Difference", hint: `Quality of ${a.text} less that of ${b.text}`, text: (r) => withUnit(fixed(r.difference, 3, true), metric.qualityUnit), value: (r) => r.difference },
  ];
}
