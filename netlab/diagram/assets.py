"""How a page looks, and what its script adds."""

RULES = """
*{box-sizing:border-box}
html{scroll-behavior:smooth;font-size:clamp(100%,.4rem + .65vw,145%)}
body{margin:0 auto;max-width:72rem;padding:1.5rem clamp(1rem,4vw,3rem);background:var(--paper);
color:var(--ink);font:1.05rem/1.6 SANS;overflow-wrap:anywhere}
h1{font-size:clamp(1.5rem,4vw,2.4rem);line-height:1.2;margin:.5rem 0 1rem}
h2{font-size:1.5rem;line-height:1.25;margin:3rem 0 1rem;padding-top:1rem;
border-top:1px solid var(--faint)}
h3{font-size:1.15rem;margin:1.5rem 0 .5rem}
.prose{max-width:46rem}
.up{margin:0}
a{color:var(--host)}
a:focus-visible,button:focus-visible,summary:focus-visible,[tabindex]:focus-visible{
outline:3px solid var(--host);outline-offset:2px}
.skip{position:absolute;left:-99rem}
.skip:focus{position:static}
nav ul{display:flex;flex-wrap:wrap;gap:.4rem 1.2rem;padding:0;margin:1rem 0;list-style:none}
.badge{display:inline-block;margin:.2rem 0;padding:.2rem .8rem;border-radius:1rem;font-weight:700;
border:2px solid}
.good.badge{color:var(--router);background:var(--router-tint)}
.bad.badge{color:var(--danger);background:var(--danger-tint)}
.wide{overflow-x:auto;margin:1rem 0;border:1px solid var(--faint);border-radius:.5rem}
.wide svg{display:block;margin:0 auto;max-width:none;height:auto}
@media(min-width:60rem){.wide svg{max-width:100%}}
table{border-collapse:collapse;width:100%;min-width:36rem;font-size:.95rem}
th,td{text-align:left;vertical-align:top;padding:.5rem .8rem;border-bottom:1px solid var(--faint);
overflow-wrap:break-word}
tr[class] td:first-child,tr[data-packets] td:first-child{white-space:nowrap}
tr:last-child td{border-bottom:0}
tr.good td:first-child{color:var(--router);font-weight:700}
tr.bad td{background:var(--danger-tint)}
tr.bad td:first-child{color:var(--danger);font-weight:700}
.dense{font-size:.85rem}
.dense th,.dense td{padding:.25rem .4rem}
.dense th:first-child,.dense td:first-child{position:sticky;left:0;background:var(--paper)}
a.good{color:var(--router)}
a.bad{color:var(--danger);font-weight:700}
td:has(a.bad){background:var(--danger-tint)}
tr:target td{background:var(--nat-tint)}
tr.lit td{background:var(--host-tint)}
.lit .way{opacity:.15}
.lit .way.lit{opacity:1}
.way{transition:opacity .15s}
summary{cursor:pointer;color:var(--host);font-weight:700}
pre{overflow-x:auto;padding:1rem;border-radius:.5rem;border:1px solid var(--faint);
background:var(--host-tint);font:.9rem/1.5 MONO;overflow-wrap:normal}
code{font-family:MONO;font-size:.92em}
button{font:inherit;font-size:.85rem;padding:.2rem .8rem;border-radius:.5rem;cursor:pointer;
color:var(--ink);background:var(--card);border:1px solid var(--line)}
.copy{position:relative}
.copy button{position:absolute;top:.6rem;right:.6rem}
.copy pre{padding-right:6rem}
@media(max-width:40rem){.wide svg{zoom:.75}.copy pre{padding-right:1rem;margin-bottom:.4rem}
.copy button{position:static}}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--faint);color:var(--muted);
font-size:.9rem}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}.way{transition:none}}
@media print{table{min-width:0}html{font-size:62.5%}
body{max-width:none;font-size:10pt;padding:0}nav,.skip,.up,button{display:none}
.wide,pre{overflow:visible;border:0;break-inside:avoid}.wide svg{max-width:100%}
pre,.copy pre{white-space:pre-wrap;padding-right:1rem}h2,h3{break-after:avoid}}
"""
"""``SANS`` and ``MONO`` are the drawings' typefaces, ``--NAME`` for the palette's colours."""

SCRIPT = """
(() => {
  const root = document.documentElement;
  const button = (words, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    made.addEventListener("click", () => act(made));
    return made;
  };

  const dark = () => root.dataset.scheme
    ? root.dataset.scheme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const other = () => dark() ? "Light" : "Dark";
  const item = document.createElement("li");
  item.append(button(other(), made => {
    root.dataset.scheme = dark() ? "light" : "dark";
    made.textContent = other();
  }));
  document.querySelector("nav ul").append(item);

  for (const block of document.querySelectorAll("pre")) {
    const lines = block.textContent.split("\\n");
    if (!lines.every(line => line.startsWith("$ "))) continue;
    const frame = document.createElement("div");
    frame.className = "copy";
    block.replaceWith(frame);
    frame.append(block, button("Copy", async made => {
      await navigator.clipboard.writeText(lines.map(line => line.slice(2)).join("\\n"));
      made.textContent = "Copied";
    }));
  }

  const numbers = part => part.dataset.packets.split(" ");
  for (const section of document.querySelectorAll("section")) {
    const parts = [...section.querySelectorAll("[data-packets]")];
    const light = chosen => {
      const wanted = new Set(chosen ? numbers(chosen) : []);
      section.classList.toggle("lit", Boolean(chosen));
      for (const part of parts) {
        part.classList.toggle("lit", numbers(part).some(number => wanted.has(number)));
      }
    };
    const meant = event => event.target.closest("[data-packets]");
    for (const kind of ["mouseover", "focusin"]) {
      section.addEventListener(kind, event => light(meant(event)));
    }
    for (const kind of ["mouseleave", "focusout"]) {
      section.addEventListener(kind, () => light(null));
    }
    section.addEventListener("click", event => {
      const way = event.target.closest("svg [data-packets]");
      const row = way && parts.find(part => part.id && part.dataset.packets === numbers(way)[0]);
      if (row) location.hash = row.id;
    });
  }

  addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });
})();
"""
"""Nothing that it adds is needed to read the page."""
