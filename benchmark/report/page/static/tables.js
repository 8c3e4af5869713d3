// Sortable tables: a header is a button, a row can be opened.
"use strict";

// columns: {title, hint, text: row => string, value: row => number|string, left, className: row => string}
class SortedTable {
  constructor(host, { caption, columns, sort = 0, descending = false, onrow = null, limit = 60 }) {
    Object.assign(this, { host, caption, columns, sort, descending, onrow, limit, rows: [], current: null });
  }

  show(rows, current = null) {
    this.rows = rows;
    this.current = current;
    this.draw();
  }

  order(column) {
    this.descending = this.sort === column ? !this.descending : false;
    this.sort = column;
    this.draw();
    this.host.querySelectorAll("th button")[column].focus();
  }

  // Missing values stand last in either direction.
  sorted() {
    const value = this.columns[this.sort].value;
    const sign = this.descending ? -1 : 1;
    const missing = (v) => v === null || v === undefined || v === "";
    return [...this.rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y);
    });
  }

  header(column, i) {
    const state = i === this.sort ? (this.descending ? "descending" : "ascending") : null;
    const arrow = state ? (this.descending ? " \u25be" : " \u25b4") : "";
    return el("th", { scope: "col", class: column.left ? "left" : null, "aria-sort": state },
      el("button", { type: "button", title: column.hint, onclick: () => this.order(i) }, column.title + arrow));
  }

  row(row) {
    const open = this.onrow && this.onrow(row);
    const cells = this.columns.map((column, i) => {
      const name = [column.left ? "left" : "", column.className ? column.className(row) : ""].join(" ").trim();
      const text = column.text(row);
      const content = i === 0 && open ? el("button", { type: "button", class: "open", onclick: open }, text) : text;
      return el(i === 0 ? "th" : "td", { class: name || null, scope: i === 0 ? "row" : null }, content);
    });
    return el("tr", { class: this.current !== null && this.current === this.columns[0].text(row) ? "current" : null }, cells);
  }

  draw() {
    const rows = this.sorted();
    const shown = rows.slice(0, this.limit);
    const more = rows.length > shown.length
      ? el("button", { type: "button", class: "more", onclick: () => { this.limit = Infinity; this.draw(); } }, `Show all ${rows.length} rows`) : null;
    this.host.replaceChildren(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": this.caption },
      el("table", {}, el("caption", {}, this.caption),
        el("thead", {}, el("tr", {}, this.columns.map((c, i) => this.header(c, i)))),
        el("tbody", {}, shown.map((r) => this.row(r))))), more || "");
  }
}
