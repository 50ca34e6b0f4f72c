(() => {
  // The colour under a text is that of the nearest ancestor, or shape of a drawing, that has one.
  const luminance = colour => {
    const parts = colour.match(/[\d.]+/g).slice(0, 3).map(Number).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ratio = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
    return (high + 0.05) / (low + 0.05);
  };
  const seen = colour => colour !== "none" && !/^rgba.*, 0\)$/.test(colour);
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (seen(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const holds = (outer, inner) => outer.left <= inner.left + 1 && outer.right >= inner.right - 1
    && outer.top <= inner.top + 1 && outer.bottom >= inner.bottom - 1;
  const drawn = text => {
    const place = text.getBoundingClientRect();
    const under = [...text.ownerSVGElement.querySelectorAll("rect, text")];
    return under.slice(0, under.indexOf(text)).reverse()
      .filter(shape => shape.tagName === "rect" && holds(shape.getBoundingClientRect(), place))
      .map(shape => getComputedStyle(shape).fill).find(seen);
  };
  const poor = [];
  const judge = (element, colour, under) => {
    const style = getComputedStyle(element);
    const large = parseFloat(style.fontSize) >= 24
      || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const found = ratio(colour, under);
    if (found < (large ? 3 : 4.5)) poor.push([element.textContent.slice(0, 40), colour, under, found]);
  };
  let texts = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest("script, title, desc")) continue;
    texts += 1;
    const style = getComputedStyle(element);
    if (element.ownerSVGElement) judge(element, style.fill, drawn(element) || ground(element));
    else judge(element, style.color, ground(element));
  }
  const wide = [...document.querySelectorAll("body *")]
    .filter(e => !e.closest(".wide, pre") || e.matches(".wide, pre"))
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.matches(".skip"))
    .map(e => e.outerHTML.slice(0, 80));
  const links = [...document.querySelectorAll('a[href^="#"]')]
    .map(a => a.getAttribute("href").slice(1)).filter(id => !document.getElementById(id));
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  const interactive = [...document.querySelectorAll("a[href], button, summary, [tabindex]")];
  return {
    texts, poor, wide, dangling: links,
    twice: ids.filter((id, at) => ids.indexOf(id) !== at),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    interactive: interactive.filter(e => e.checkVisibility() && e.tabIndex >= 0).length,
    unreachable: interactive.filter(e => e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80)),
  };
})()
