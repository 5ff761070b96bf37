// Return the faults of the current page, as a list of sentences.
() => {
  const found = [];
  const width = document.documentElement.clientWidth;
  const nameOf = (element) => {
    const text = (element.innerText || element.alt || "").trim().replace(/\s+/g, " ");
    const kinds = [...element.classList].slice(0, 2).map((kind) => `.${kind}`).join("");
    return `<${element.localName}${kinds}> ${JSON.stringify(text.slice(0, 40))}`;
  };
  const isShown = (element) =>
    element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) &&
    element.getBoundingClientRect().width > 1; // 1 px is for screen readers alone
  // In this theme the whole article can scroll sideways; only boxes in it should.
  const frame = document.querySelector(".bd-article-container");
  const scrolls = (element) => {
    for (let box = element.parentElement; box && box !== frame; box = box.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(box).overflowX)) return true;
    }
    return false;
  };

  // -- Widths ------------------------------------------------------------------------
  for (const box of [document.documentElement, frame]) {
    const excess = box ? box.scrollWidth - box.clientWidth : 0;
    if (excess > 0) found.push(`${nameOf(box)} is ${excess} px too wide`);
  }
  const elements = [...document.body.querySelectorAll("*")].filter(isShown);
  const wide = elements.filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    const limit = frame?.contains(element) ? frame.getBoundingClientRect().right : width;
    return (right > limit + 1 || left < -1) && !scrolls(element);
  });
  for (const element of wide.filter((e) => !wide.includes(e.parentElement))) {
    found.push(`sticks out: ${nameOf(element)}`);
  }
  for (const element of elements) {
    const style = getComputedStyle(element);
    const isCut = ["hidden", "clip"].includes(style.overflowX);
    const isMeant = style.textOverflow === "ellipsis";
    if (isCut && !isMeant && element.scrollWidth > element.clientWidth + 1) {
      found.push(`is cut off: ${nameOf(element)}`);
    }
  }
  for (const name of document.querySelectorAll("dt > strong")) {
    const range = document.createRange();
    range.selectNodeContents(name);
    const isWord = !/\s/.test(name.innerText);
    if (isWord && range.getClientRects().length > 1) {
      found.push(`is broken: ${nameOf(name)}`);
    }
  }
  for (const image of document.images) {
    if (image.complete && !image.naturalWidth) found.push(`no picture: ${image.src}`);
  }

  // -- Text --------------------------------------------------------------------------
  const article = document.querySelector(".bd-article") || document.body;
  const prose = article.cloneNode(true);
  prose.querySelectorAll("code, pre, script, style, math").forEach((e) => e.remove());
  const raw = prose.textContent.match(/\\[([]|\\[a-z]{3,}|``|:[a-z]+:`|\|\w+\||\$\w+\$/g);
  if (raw) found.push(`raw markup: ${[...new Set(raw)].join(" ")}`);

  // -- Contrast, as WCAG 2.2 defines it; 4.5 is its level AA ---------------------------
  const channels = (color) => (color.match(/[\d.]+/g) || []).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let box = element; box; box = box.parentElement) {
      const color = getComputedStyle(box).backgroundColor;
      const [, , , alpha = 1] = channels(color);
      if (color.startsWith("rgb") && alpha > 0.5) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const faint = new Map();
  for (const element of elements) {
    const hasText = [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim(),
    );
    const { color } = getComputedStyle(element);
    if (!hasText || !color.startsWith("rgb") || element.closest("svg")) continue;
    const behind = background(element);
    const [low, high] = [luminance(color), luminance(behind)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const pair = `${color} on ${behind}`;
    if (ratio < 4.5 && !faint.has(pair)) faint.set(pair, [ratio, nameOf(element)]);
  }
  for (const [pair, [ratio, name]] of faint) {
    found.push(`contrast ${ratio.toFixed(1)} (${pair}): ${name}`);
  }
  return found;
}
