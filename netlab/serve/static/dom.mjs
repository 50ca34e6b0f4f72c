// Elements from plain values. Text is always text: nothing of a lab is ever HTML.

export const find = selector => document.querySelector(selector);

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(key, value);
    }
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

export const button = (words, act, attributes = {}) =>
  make("button", {type: "button", onclick: act, ...attributes}, words);

export function table(head, rows) {
  const cells = (name, values) => values.map(value => make(name, {}, value));
  return make("table", {},
    make("thead", {}, make("tr", {}, ...cells("th", head))),
    make("tbody", {}, ...rows.map(row => make("tr", row.attributes ?? {}, ...cells("td", row.cells)))));
}
