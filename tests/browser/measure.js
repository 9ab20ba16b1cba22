// Copyright: (c) 2026, azureops.pod_identity contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What of a page lies where it must not: [[what, text], ...]. Everything is opened and laid out for that.
() => {
  const found = [];
  const sheet = document.styleSheets[0];
  sheet.insertRule(".part { content-visibility: visible !important; }", sheet.cssRules.length);
  for (const one of document.querySelectorAll("details")) one.open = true;
  scrollTo(0, 0);
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) found.push(["page", `${document.documentElement.scrollWidth}`]);

  const inside = (inner, outer, slack = 1) => inner.left >= outer.left - slack && inner.right <= outer.right + slack
    && inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
  const name = (one) => (one.textContent || one.value || "").trim().slice(0, 60);

  // Of drawings: each name in its box, each box in the drawing, no two boxes over each other.
  for (const drawing of document.querySelectorAll("svg")) {
    const around = drawing.getBoundingClientRect();
    const boxes = [...drawing.querySelectorAll("rect")].map((one) => one.getBoundingClientRect());
    for (const node of drawing.querySelectorAll(".node")) {
      const box = node.querySelector("rect").getBoundingClientRect();
      if (!inside(box, around)) found.push(["box outside its drawing", name(node)]);
      for (const text of node.querySelectorAll("text")) {
        if (!inside(text.getBoundingClientRect(), box)) found.push(["name outside its box", name(text)]);
      }
    }
    boxes.sort((one, other) => one.top - other.top);
    boxes.forEach((one, place) => {
      for (const other of boxes.slice(place + 1)) {
        if (other.top >= one.bottom) break;
        if (other.left < one.right && one.left < other.right) found.push(["boxes of a drawing overlap", ""]);
      }
    });
  }

  // Of the rest: each line of text, control and drawing in the page and in its cell, and none over another.
  const boxes = [];
  const add = (rect, element) => {
    if (rect.width === 0 || rect.height === 0) return;
    if (rect.left < -1 || rect.right > width + 1) found.push(["outside the page", name(element)]);
    const cell = element.closest("td, th, li, .cause");
    if (cell && !cell.closest("thead")) {
      const around = cell.getBoundingClientRect();
      if (rect.left < around.left - 1 || rect.right > around.right + 1) found.push(["outside its cell", name(element)]);
    }
    boxes.push({ rect, element });
  };
  const hidden = (element) => element.closest("svg, .skip, option, script, style, [hidden]")
    || (element.closest("thead") && getComputedStyle(element.closest("thead")).position === "absolute");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (!node.data.trim() || hidden(node.parentElement)) continue;
    range.selectNodeContents(node);
    for (const rect of range.getClientRects()) add(rect, node.parentElement);
  }
  for (const one of document.querySelectorAll("input, select, button")) {
    if (!hidden(one)) add(one.getBoundingClientRect(), one);
  }
  for (const one of document.querySelectorAll(".scroll")) add(one.getBoundingClientRect(), one);
  const text = boxes.filter((one) => !one.element.matches("button, .scroll"));
  text.sort((one, other) => one.rect.top - other.rect.top);
  text.forEach((one, place) => {
    for (let next = place + 1; next < text.length; next += 1) {
      const other = text[next];
      if (other.rect.top >= one.rect.bottom - 1) break;
      if (other.rect.left < one.rect.right - 1 && one.rect.left < other.rect.right - 1) {
        found.push(["overlap", `${name(one.element)} | ${name(other.element)}`]);
      }
    }
  });
  return { found: found.slice(0, 20), boxes: boxes.length };
}
