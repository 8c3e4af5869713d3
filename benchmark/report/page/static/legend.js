// Keys that switch curves on and off: each alone, only one, all, none.
"use strict";

const MARKS = ["\u25cf", "\u25a0", "\u25b2", "\u25c6", "\u25bc", "\u271a", "\u25c0", "\u2716", "\u25b6", "\u2b1f", "\u2605"];
const ownColour = (look) => `--own: ${look.colour}`;

class Legend {
  // hidden: the names that are off; onchange is called after each change.
  constructor(host, hidden, onchange) {
    Object.assign(this, { host, hidden, onchange, looks: [] });
  }

  show(looks) {
    this.looks = looks;
    const all = el("button", { type: "button", class: "set", onclick: (e) => this.set(e, () => true) }, "All");
    const none = el("button", { type: "button", class: "set", onclick: (e) => this.set(e, () => false) }, "None");
    this.host.replaceChildren(...(looks.length > 1 ? [all, none] : []), ...looks.map((look) => this.key(look)));
  }

  key(look) {
    const on = !this.hidden.has(look.name);
    return el("span", { class: `key${look.published ? " dashed" : ""}${on ? "" : " off"}`, style: ownColour(look) },
      el("button", { type: "button", class: "toggle", "aria-pressed": String(on), title: look.note, onclick: (e) => this.toggle(e, look.name) },
        el("i", { "aria-hidden": "true" }, MARKS[look.marker]), look.text),
      el("button", { type: "button", class: "only", "aria-label": `only ${look.text}`, onclick: (e) => this.set(e, (name) => name === look.name) }, "only"));
  }

  toggle(event, name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.changed(event);
  }

  set(event, wanted) {
    for (const { name } of this.looks) {
      if (wanted(name)) this.hidden.delete(name); else this.hidden.add(name);
    }
    this.changed(event);
  }

  // The keys are drawn anew: a keyboard's focus stays where it was.
  changed(event) {
    const at = [...this.host.querySelectorAll("button")].indexOf(event.currentTarget);
    this.onchange();
    if (event.detail === 0) this.host.querySelectorAll("button")[at].focus();
  }
}
