// The page: one channel to the server, and a part for each kind of message.

import {button, find} from "./dom.mjs";
import {Connections} from "./connections.mjs";
import {Deeds} from "./deeds.mjs";
import {Ladder} from "./ladder.mjs";
import {Lesson} from "./lesson.mjs";
import {Packets} from "./packets.mjs";
import {Stage} from "./stage.mjs";
import {Tables} from "./tables.mjs";

const SOONEST = 250, LATEST = 5000;  // milliseconds until the next try to reach the server

const ladder = new Ladder();
const stage = new Stage();
const packets = new Packets(journey => { ladder.show(journey.flow); stage.light(journey); });
const tables = new Tables();
let channel = null;
let pause = SOONEST;
const send = message => {
  if (channel?.readyState === WebSocket.OPEN) channel.send(JSON.stringify(message));
};
const lesson = find("#lesson") ? new Lesson(send, document.body.dataset.role) : null;
const connections = new Connections();
const deeds = find("#deeds") ? new Deeds() : null;
if (deeds) stage.breakable(form => deeds.act(form));

const state = (words, kind) => {
  const place = find("#connection");
  place.textContent = words;
  place.className = kind;
};

function heard(message) {
  if (message.type === "hello") {
    state(message.up ? `live, as ${message.role}` : "the lab is down: its last state",
      message.up ? "good" : "bad");
    packets.reset(message.packets);
    stage.shown(message.shown);
    tables.show(message.tables);
    stage.broken(message.down);
    connections.show(message.connections);
    deeds?.begin(message);
    lesson?.show(message.lesson);
  } else if (message.type === "packets") {
    packets.add(message.packets);
    stage.add(message.packets);
    stage.shown(message.shown);
    ladder.grow(message.packets);
  } else if (message.type === "tables") tables.show(message.tables);
  else if (message.type === "lab") {
    state(message.up ? "live" : "the lab is down: its last state", message.up ? "good" : "bad");
  } else if (message.type === "done") {
    stage.broken(message.down);
    deeds?.done(message);
  } else if (message.type === "connections") connections.show(message.connections);
  else if (message.type === "lesson") lesson?.show(message.lesson);
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  channel = new WebSocket(`${scheme}//${location.host}/live`);
  channel.addEventListener("open", () => { pause = SOONEST; });
  channel.addEventListener("message", event => heard(JSON.parse(event.data)));
  channel.addEventListener("close", () => {
    state("no connection: trying again", "bad");
    setTimeout(connect, pause);
    pause = Math.min(LATEST, pause * 2);
  });
}

const root = document.documentElement;
const dark = () => root.dataset.scheme
  ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const scheme = button(dark() ? "Light" : "Dark", () => {
  root.dataset.scheme = dark() ? "light" : "dark";
  scheme.textContent = dark() ? "Light" : "Dark";
  stage.colours();
});
find("#head-buttons").append(scheme);
find("#packet-list").replaceChildren(packets.element);
connect();
globalThis.netlab = {stage, packets};  // for who looks into it with the browser's tools
