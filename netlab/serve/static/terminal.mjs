// One terminal: xterm.js, and a channel to a shell in a node.

import {Terminal} from "./vendor/xterm.mjs";
import {FitAddon} from "./vendor/addon-fit.mjs";

const terminal = new Terminal({cursorBlink: true, fontSize: 15, scrollback: 5000, screenReaderMode: true});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(document.querySelector("#terminal"));
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const node = encodeURIComponent(document.body.dataset.node);
const channel = new WebSocket(`${scheme}//${location.host}/terminal/live?node=${node}`);
channel.binaryType = "arraybuffer";
const size = () => {
  fit.fit();
  if (channel.readyState === WebSocket.OPEN) channel.send(`${terminal.rows} ${terminal.cols}`);
};
channel.addEventListener("open", () => { size(); terminal.focus(); });
channel.addEventListener("message", event => terminal.write(new Uint8Array(event.data)));
channel.addEventListener("close", () => terminal.write("\r\n[the shell has ended]\r\n"));
terminal.onData(typed => {
  if (channel.readyState === WebSocket.OPEN) channel.send(new TextEncoder().encode(typed));
});
new ResizeObserver(size).observe(document.body);
globalThis.netlab = {terminal};
