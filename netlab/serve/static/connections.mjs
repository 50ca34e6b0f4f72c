// Connections of netlab's own TCP: where each is in RFC 9293's diagram, and its sequence space.

import {find, make, table} from "./dom.mjs";

const STATES = ["CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1",
  "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"];
const SHOWN = ["cwnd", "ssthresh", "mss", "srtt", "rto", "send_q", "recv_q", "retransmissions",
  "snd_una", "snd_nxt", "snd_wnd", "rcv_nxt", "rcv_wnd"];

export class Connections {
  show(connections) {
    find("#connections").hidden = !connections.length;
    find("#connection-list").replaceChildren(...connections.map(one => make("div", {},
      make("h3", {}, `${one.local} > ${one.remote}`),
      make("ul", {class: "states", "aria-label": "state"}, ...STATES.map(name => make("li",
        name === one.state ? {class: "now", "aria-current": "true"} : {}, name))),
      make("div", {class: "wide"}, table(SHOWN.filter(key => key in one),
        [{cells: SHOWN.filter(key => key in one).map(key => String(one[key]))}])))));
  }
}
