// The state in the page's address, so that a view can be sent to others.
"use strict";

function writeAddress(state, defaults) {
  const said = new URLSearchParams();
  for (const name of ["metric", "anchor", "image"]) if (state[name] !== defaults[name]) said.set(name, state[name]);
  if (state.log) said.set("log", "1");
  const [off, first] = [[...state.hidden].sort(), [...defaults.hidden].sort()];
  if (off.join("\n") !== first.join("\n")) (off.length ? off : [""]).forEach((name) => said.append("off", name));
  const text = said.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

// What the address says, where it names what there is; else the defaults.
function readAddress(defaults, known) {
  const said = new URLSearchParams(location.hash.slice(1));
  const one = (name) => (known[name].includes(said.get(name)) ? said.get(name) : defaults[name]);
  const off = said.has("off") ? said.getAll("off").filter((name) => known.hidden.includes(name)) : [...defaults.hidden];
  return { metric: one("metric"), anchor: one("anchor"), image: one("image"), log: said.get("log") === "1", hidden: new Set(off) };
}
