// The drawing breathes: packets travel along its wires in slow motion.
//
// A clock of its own runs while it plays. Each packet gets a start on that clock, in the order in
// which they were seen, and needs LEG milliseconds for each wire. Where many wait they start closer
// together, so that the picture never falls far behind the lab.

import {button, find, make} from "./dom.mjs";

const LEG = 900;          // milliseconds on a wire at speed 1
const REST = 250;         // in a node
const CROSS = 6000;       // how long the place of a death stays marked
const BEHIND = 3000;      // milliseconds that the last packet may start after the clock
const POINTS = 48;        // of a wire, between which a packet moves straight
const MOST = 2000;        // packets that wait or move

export class Stage {
  constructor() {
    this.svg = find("#drawing svg");
    this.moving = [];
    this.crosses = [];
    this.now = 0;
    this.next = 0;         // when the next packet may start
    this.playing = true;
    this.until = Infinity; // where a single step ends
    this.speed = 1;
    this.lit = null;
    this.last = null;
    this.frames = 0;
    this.canvas = make("canvas", {"aria-hidden": "true"});
    find("#drawing").append(this.canvas);
    this.#buttons();
    this.#wires();
    this.colours();
    new ResizeObserver(() => this.#fit()).observe(this.svg);
    requestAnimationFrame(time => this.#frame(time));
  }

  #buttons() {
    this.play = button("Pause", () => this.toggle(), {id: "play"});
    this.step = button("Step", () => this.forward(), {id: "step", disabled: true});
    const speed = make("input", {type: "range", min: "-3", max: "3", step: "0.5", value: "0", id: "speed",
      oninput: event => {
        this.speed = 2 ** Number(event.target.value);
        event.target.setAttribute("aria-valuetext", `${this.speed.toFixed(2)} times`);
      }});
    const clear = button("Clear", () => { this.moving = []; this.crosses = []; this.#paint(); });
    find("#controls").append(this.play, this.step, clear,
      make("label", {for: "speed"}, "speed"), speed);
  }

  toggle() {
    this.playing = !this.playing;
    this.until = Infinity;
    this.play.textContent = this.playing ? "Pause" : "Play";
    this.step.disabled = this.playing;
    this.last = null;
  }

  // To the next moment at which a packet is at a node.
  forward() {
    if (this.playing) return;
    const moments = this.moving.flatMap(m => m.legs.map((_, at) => m.start + at * (LEG + REST) + LEG))
      .filter(moment => moment > this.now + 1);
    if (moments.length) this.until = Math.min(...moments) + 1;
  }

  #wires() {
    this.ways = new Map();
    for (const path of this.svg.querySelectorAll("path[data-right]")) {
      const length = path.getTotalLength();
      const points = Array.from({length: POINTS + 1},
        (_, at) => path.getPointAtLength(length * at / POINTS));
      const shift = path.getCTM(), base = this.svg.getCTM().inverse().multiply(shift);
      const moved = points.map(point => point.matrixTransform(base));
      this.ways.set(path.dataset.left, moved);
      this.ways.set(path.dataset.right, [...moved].reverse());
    }
    this.cards = new Map();
    for (const card of this.svg.querySelectorAll("[data-node]")) {
      const rect = card.querySelector("rect");
      const base = this.svg.getCTM().inverse().multiply(rect.getCTM());
      const corner = new DOMPoint(rect.x.baseVal.value + rect.width.baseVal.value / 2,
        rect.y.baseVal.value + rect.height.baseVal.value / 2).matrixTransform(base);
      this.cards.set(card.dataset.node, corner);
    }
  }

  // The teacher breaks a link, and mends it, by a click on its wire.
  breakable(act) {
    this.hits = [];
    for (const path of this.svg.querySelectorAll("path[data-left]")) {
      const hit = path.cloneNode();
      hit.setAttribute("class", "hit");
      hit.setAttribute("tabindex", "0");
      hit.setAttribute("role", "button");
      hit.removeAttribute("stroke-width");
      delete hit.dataset.right;
      const end = path.dataset.left;
      const press = () => act({do: "link", end, values: path.classList.contains("broken") ? "up" : "down"});
      hit.addEventListener("click", press);
      hit.addEventListener("keydown", event => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); press(); }
      });
      path.after(hit);
      this.hits.push({path, hit});
    }
  }

  broken(ends) {
    const down = new Set(ends);
    for (const path of this.svg.querySelectorAll("path[data-right]")) {
      path.classList.toggle("broken", down.has(path.dataset.left) || down.has(path.dataset.right));
    }
    for (const {path, hit} of this.hits ?? []) {
      const words = path.classList.contains("broken") ? "is down: bring it up" : "take it down";
      hit.setAttribute("aria-label", `link ${path.dataset.left} to ${path.dataset.right}: ${words}`);
    }
  }

  colours() {
    const style = getComputedStyle(document.documentElement);
    this.palette = Object.fromEntries(["router", "nat", "danger", "paper", "ink", "host"]
      .map(name => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  #fit() {
    const box = this.svg.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.max(1, box.width * ratio);
    this.canvas.height = Math.max(1, box.height * ratio);
    // By the style object of the element, which the content security policy allows.
    this.canvas.style.width = `${box.width}px`;
    this.canvas.style.height = `${box.height}px`;
    this.canvas.style.left = `${this.svg.offsetLeft ?? 0}px`;
    const frame = find("#drawing").getBoundingClientRect();
    this.canvas.style.left = `${box.left - frame.left + find("#drawing").scrollLeft}px`;
    this.canvas.style.top = `${box.top - frame.top + find("#drawing").scrollTop}px`;
    this.scale = this.canvas.width / this.svg.viewBox.baseVal.width;
    this.#paint();
  }

  add(journeys) {
    for (const journey of journeys) {
      const legs = journey.legs.filter(leg => this.ways.has(leg.from));
      const start = Math.max(this.now, this.next);
      const waiting = Math.max(0, this.next - this.now);
      // The more wait, the closer together they start.
      this.next = start + LEG / 2 * Math.max(0, 1 - waiting / BEHIND) + 1;
      if (this.moving.length < MOST) this.moving.push({journey, legs, start});
    }
  }

  shown({seen, drawn, let_go: letGo}) {
    const words = [];
    if (seen > drawn) words.push(`Too many to draw: ${drawn} of ${seen} packets are shown.`);
    if (letGo) words.push(`${letGo} came too fast to be followed at all.`);
    find("#shown").textContent = words.join(" ");
  }

  light(journey) {
    this.lit = journey;
    this.#paint();
  }

  #frame(time) {
    const passed = this.last === null ? 0 : Math.min(100, time - this.last);
    this.last = time;
    if (this.playing || this.now < this.until && this.until !== Infinity) {
      this.now += passed * this.speed;
      if (!this.playing && this.now >= this.until) { this.now = this.until; this.until = Infinity; }
      if (this.moving.length || this.crosses.length) this.#paint();
      this.#ends();
    }
    this.frames += 1;
    requestAnimationFrame(next => this.#frame(next));
  }

  #ends() {
    const over = m => m.start + m.legs.length * (LEG + REST) - REST <= this.now;
    for (const moving of this.moving.filter(over)) {
      const {end} = moving.journey;
      if (end.dead) this.#cross(moving);
    }
    this.moving = this.moving.filter(m => !over(m));
    this.crosses = this.crosses.filter(c => c.since + CROSS > this.now);
  }

  #cross({journey, legs}) {
    const last = legs.at(-1);
    const points = last && this.ways.get(last.from);
    const at = points && !last.arrives ? points[POINTS / 2]
      : this.cards.get(journey.end.node) ?? points?.at(-1);
    if (!at) return;
    this.crosses.push({at, since: this.now});
    const fate = find("#fate");
    fate.replaceChildren(make("strong", {}, `#${journey.id} ${journey.label}`), `: ${journey.end.sentence}`);
    if (journey.end.line) {
      fate.append(make("code", {class: "line"}, `${journey.end.place}: ${journey.end.line.trim()}`));
    }
  }

  #paint() {
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, this.canvas.height);
    pen.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    if (this.lit) this.#trail(pen, this.lit);
    for (const {journey, legs, start} of this.moving) {
      const passed = this.now - start;
      if (passed < 0) continue;
      const at = Math.floor(passed / (LEG + REST));
      const leg = legs[at];
      if (!leg) continue;
      const part = Math.min(1, (passed - at * (LEG + REST)) / LEG);
      const {x, y} = this.#between(leg, journey.end.dead && !leg.arrives ? part / 2 : part);
      const colour = journey.end.dead && at === legs.length - 1 ? "danger" : leg.changed ? "nat" : "router";
      this.#dot(pen, x, y, this.palette[colour], journey.id);
    }
    for (const {at, since} of this.crosses) {
      pen.globalAlpha = Math.max(0.25, 1 - (this.now - since) / CROSS);
      pen.strokeStyle = this.palette.danger;
      pen.lineWidth = 7;
      pen.lineCap = "round";
      pen.beginPath();
      pen.moveTo(at.x - 13, at.y - 13); pen.lineTo(at.x + 13, at.y + 13);
      pen.moveTo(at.x + 13, at.y - 13); pen.lineTo(at.x - 13, at.y + 13);
      pen.stroke();
      pen.globalAlpha = 1;
    }
  }

  #between(leg, part) {
    const points = this.ways.get(leg.from);
    const place = part * POINTS, low = Math.min(POINTS - 1, Math.floor(place));
    const a = points[low], b = points[low + 1];
    return {x: a.x + (b.x - a.x) * (place - low), y: a.y + (b.y - a.y) * (place - low)};
  }

  #dot(pen, x, y, colour, number) {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(x, y, 9, 0, 7);
    pen.fill();
    pen.strokeStyle = this.palette.paper;
    pen.lineWidth = 2;
    pen.stroke();
    if (this.moving.length > 12) return;
    pen.font = "bold 13px sans-serif";
    pen.lineWidth = 4;
    pen.strokeText(`#${number}`, x + 12, y - 9);
    pen.fillStyle = this.palette.ink;
    pen.fillText(`#${number}`, x + 12, y - 9);
  }

  // The whole way of a chosen packet.
  #trail(pen, journey) {
    pen.lineWidth = 6;
    pen.lineCap = "round";
    for (const leg of journey.legs.filter(one => this.ways.has(one.from))) {
      pen.strokeStyle = this.palette[leg.changed ? "nat" : "host"];
      pen.globalAlpha = 0.55;
      pen.beginPath();
      this.ways.get(leg.from).forEach(({x, y}, at) => (at ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }
}
