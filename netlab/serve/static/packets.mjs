// The list of packets, and one of them hop by hop, what was changed lit up.

import {button, find, make, table} from "./dom.mjs";

const MOST = 60;

export class Packets {
  constructor(chosen) {
    this.chosen = chosen;
    this.body = make("tbody");
    this.element = make("table", {},
      make("thead", {}, make("tr", {},
        ...["packet", "what", "its end"].map(words => make("th", {scope: "col"}, words)))),
      this.body);
  }

  reset(journeys) {
    this.body.replaceChildren();
    this.add(journeys);
  }

  add(journeys) {
    const rows = journeys.slice(-MOST).reverse().map(journey => this.#row(journey));
    this.body.prepend(...rows);
    while (this.body.rows.length > MOST) this.body.deleteRow(-1);
  }

  #row(journey) {
    const kind = journey.end.arrived ? "good" : journey.end.dead ? "bad" : "";
    return make("tr", {class: kind},
      make("td", {}, button(`#${journey.id}`, () => this.show(journey), {class: "number"})),
      make("td", {}, journey.label),
      make("td", {}, `${journey.end.arrived ? "✓" : journey.end.dead ? "✗" : "…"} ${journey.end.sentence}`));
  }

  show(journey) {
    let node = "";
    const rows = journey.hops.map(hop => {
      const name = hop.node === node ? "" : hop.node;
      node = hop.node;
      const told = [...hop.changes.map(change => make("mark", {}, change)),
        ...hop.boxes.map(box => make("span", {class: "box"}, box)),
        ...hop.binding ? [make("span", {class: "muted"}, "conntrack")] : []];
      return {cells: [`${hop.us.toFixed(1)} µs`, name, hop.interface, hop.direction,
        make("span", {class: "changes"}, ...told)]};
    });
    const {end} = journey;
    find("#packet").replaceChildren(
      make("h3", {}, `#${journey.id} ${journey.label}`),
      make("div", {class: "wide"}, table(["", "node", "interface", "", "changed"], rows)),
      make("p", {class: end.arrived ? "good" : end.dead ? "bad" : ""},
        `${end.arrived ? "✓" : end.dead ? "✗" : "…"} ${end.sentence}`),
      ...end.rule ? [make("pre", {}, end.rule)] : [],
      ...end.line ? [make("pre", {class: "line"}, `${end.place}: ${end.line.trim()}`)] : []);
    this.chosen(journey);
  }
}
