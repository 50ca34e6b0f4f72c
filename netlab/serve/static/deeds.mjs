// Forms that do what commands do, the terminals, and what came of it all.

import {button, find, make} from "./dom.mjs";

const MOST = 20;

export class Deeds {
  begin({nodes, undo}) {
    const key = JSON.stringify(nodes);
    if (this.key === key) return this.#count(undo);
    this.key = key;
    this.nodes = nodes.map(node => node.name);
    this.ends = nodes.flatMap(node => node.interfaces.map(name => `${node.name}:${name}`));
    this.undo = button("Undo", () => this.act({do: "undo"}), {id: "undo"});
    find("#forms").replaceChildren(
      make("datalist", {id: "nodes"}, ...this.nodes.map(name => make("option", {value: name}))),
      make("datalist", {id: "ends"}, ...this.ends.map(name => make("option", {value: name}))),
      this.#form("send", "Send", [
        this.#select("from", this.nodes), this.#select("to", this.nodes, this.nodes.length - 1),
        this.#select("proto", ["udp", "tcp", "icmp", "hdp"]), this.#text("port", "port", {inputmode: "numeric", size: 5}),
        this.#text("size", "size", {inputmode: "numeric", size: 5}), this.#text("count", "count", {inputmode: "numeric", size: 4}),
        this.#check("listen", "a listener there"), this.#check("six", "IPv6")]),
      this.#form("ping", "Ping", [
        this.#select("from", this.nodes), this.#select("to", this.nodes, this.nodes.length - 1)]),
      this.#form("run", "Run", [
        this.#select("node", this.nodes), this.#text("command", "command", {size: 28, placeholder: "ip route"})]),
      this.#form("link", "Change link", [
        this.#select("end", this.ends), this.#text("values", "values", {size: 18, value: "down", placeholder: "down, up, loss=5%"})]),
      this.#form("set", "Set", [
        this.#text("path", "where", {size: 12, placeholder: "nat.nat", list: "nodes"}),
        this.#text("key", "key", {size: 12, placeholder: "filtering"}),
        this.#text("value", "value", {size: 18, placeholder: "address-dependent"})]),
      this.#form("rule", "Add rule", [
        this.#select("node", this.nodes), this.#select("hook", ["forward", "input", "output"]),
        this.#text("rule", "rule", {size: 24, placeholder: "udp dport 53 counter drop"})]),
      make("div", {class: "row"}, button("Ping all", () => this.act({do: "pingall"})), this.undo));
    this.#terminals();
    this.#count(undo);
  }

  #count(undo) {
    this.undo.disabled = !undo;
    this.undo.textContent = undo ? `Undo (${undo})` : "Undo";
  }

  #form(name, words, fields) {
    const form = make("form", {id: `form-${name}`, class: "row", onsubmit: event => {
      event.preventDefault();
      const filled = {do: name};
      for (const field of form.elements) {
        if (field.name) filled[field.name] = field.type === "checkbox" ? field.checked : field.value;
      }
      this.act(filled);
    }}, make("strong", {}, words), ...fields, make("button", {type: "submit"}, words));
    return form;
  }

  #labelled(words, field) {
    return make("label", {}, make("span", {}, words), field);
  }

  #select(name, choices, chosen = 0) {
    return this.#labelled(name, make("select", {name},
      ...choices.map((choice, at) => make("option", {value: choice, selected: at === chosen}, choice))));
  }

  #text(name, words, more) {
    return this.#labelled(words, make("input", {name, type: "text", autocomplete: "off", ...more}));
  }

  #check(name, words) {
    return make("label", {class: "check"}, make("input", {type: "checkbox", name}), words);
  }

  async act(form) {
    const answer = await fetch("/act", {method: "POST", body: JSON.stringify(form),
      headers: {"Content-Type": "application/json"}}).catch(() => null);
    if (!answer?.ok) {
      this.done({command: "", output: "the server did not take it", code: 1});
      return;
    }
    const said = await answer.json();
    // What was done comes to every page by the channel; what was refused only here.
    if (said.code === 2 && !said.command) this.done(said);
  }

  done({command, output, code, undo}) {
    if (undo !== undefined) this.#count(undo);
    const list = find("#done");
    list.prepend(make("article", {class: code ? "bad" : "good"},
      ...command ? [make("pre", {class: "command"}, command.startsWith("#") ? command : `$ ${command}`)] : [],
      make("pre", {class: "output"}, output.trimEnd() || "(done)")));
    while (list.children.length > MOST) list.lastElementChild.remove();
  }

  #terminals() {
    const chosen = make("select", {id: "terminal-node"},
      ...this.nodes.map(name => make("option", {value: name}, name)));
    const frames = make("div", {id: "frames"});
    find("#terminal-list").replaceChildren(make("div", {class: "row"},
      make("label", {}, make("span", {}, "node"), chosen),
      button("Open", () => frames.prepend(this.#frame(chosen.value)), {id: "open-terminal"})), frames);
  }

  #frame(node) {
    const frame = make("iframe", {title: `terminal in ${node}`, src: `/terminal?node=${encodeURIComponent(node)}`});
    const box = make("div", {class: "terminal"},
      make("div", {class: "row"}, make("strong", {}, node), button("Close", () => box.remove())), frame);
    return box;
  }
}
