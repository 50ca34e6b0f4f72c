// The conversation of a chosen packet as a ladder, which grows while it goes on.

import {find} from "./dom.mjs";

const PAUSE = 400;  // milliseconds between two ladders

export class Ladder {
  constructor() {
    this.flow = "";
    this.timer = 0;
  }

  show(flow) {
    this.flow = flow;
    this.#fetch();
  }

  grow(journeys) {
    if (!this.flow || this.timer || !journeys.some(journey => journey.flow === this.flow)) return;
    this.timer = setTimeout(() => { this.timer = 0; this.#fetch(); }, PAUSE);
  }

  async #fetch() {
    const wanted = this.flow;
    let answer;
    try {
      answer = await fetch(`/ladder?flow=${encodeURIComponent(wanted)}`);
    } catch {
      return;  // the server is not there; the channel says so
    }
    if (!answer.ok || wanted !== this.flow) return;
    const text = await answer.text();
    // SVG from netlab's own drawing, in which all of a lab's words are text.
    const drawn = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
    find("#ladder-drawing").replaceChildren(document.importNode(drawn, true));
    find("#ladder").hidden = false;
  }
}
