// What NATs and firewalls remember; what is new, and what has gone, is marked for a moment.

import {find, make, table} from "./dom.mjs";

const MOMENT = 2500;

export class Tables {
  constructor() {
    this.known = new Map();
  }

  show(tables) {
    const now = performance.now();
    const parts = Object.entries(tables).map(([node, {entries, more, mappings}]) => {
      const known = this.known.get(node) ?? new Map();
      const rows = this.#rows(known, now, [
        ...mappings.map(m => ({key: `m ${m.map} ${m.inside} ${m.outside}`,
          cells: ["mapping", m.inside, `→ ${m.outside}`, "", m.left]})),
        ...entries.map(e => ({key: `e ${e.proto} ${e.flow} ${e.answers}`,
          cells: [e.proto, e.flow, e.answers, e.state, e.left]})),
      ]);
      this.known.set(node, known);
      return make("div", {class: "node-table"}, make("h3", {}, node), rows.length
        ? make("div", {class: "wide"}, table(["", "flow", "answers", "state", "left"], rows))
        : make("p", {class: "muted"}, "remembers nothing"),
      more ? make("p", {class: "muted"}, `and ${more} more`) : null);
    });
    find("#table-list").replaceChildren(...parts.length ? parts
      : [make("p", {class: "muted"}, "No node of this lab keeps a table of flows.")]);
    this.last = tables;
  }

  #rows(known, now, rows) {
    const present = new Set(rows.map(row => row.key));
    for (const row of rows) {
      const before = known.get(row.key);
      const since = before && !before.gone ? before.since : now;
      known.set(row.key, {since, cells: row.cells, gone: 0});
      if (now - since < MOMENT) row.attributes = {class: "fresh"};
    }
    const gone = [];
    for (const [key, entry] of known) {
      if (present.has(key)) continue;
      entry.gone ||= now;
      if (now - entry.gone > MOMENT) known.delete(key);
      else gone.push({cells: [...entry.cells.slice(0, 4), "gone"], attributes: {class: "gone"}});
    }
    if (gone.length) setTimeout(() => this.last && this.show(this.last), MOMENT + 100);
    return [...rows, ...gone];
  }
}
