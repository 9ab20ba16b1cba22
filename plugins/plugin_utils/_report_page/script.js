"use strict";
(() => {
  const form = document.getElementById("filter");
  const fields = [...form.querySelectorAll("[name]")];
  const count = document.getElementById("count");
  const groups = [...document.querySelectorAll("[data-group]")].map((element) => ({ element, shown: 0 }));
  const groupOf = new Map(groups.map((group) => [group.element, group]));
  const around = (element) => {
    const found = [];
    for (let one = element.closest("[data-group]"); one; one = one.parentElement.closest("[data-group]")) {
      found.push(groupOf.get(one));
    }
    return found;
  };
  const rows = [...document.querySelectorAll("[data-row]")]
    .map((element) => ({ element, text: null, groups: around(element) }));

  // The fragment is PART&FILTER, either of which may be missing. A link names a part alone and leaves the filter, which
  // the address then has with it.
  let target = null;
  const write = () => {
    const set = new URLSearchParams(fields.filter((field) => field.value).map((field) => [field.name, field.value]));
    history.replaceState(null, "", `#${[target?.id, `${set}`].filter(Boolean).join("&")}`);
  };
  const read = () => {
    const said = location.hash.slice(1);
    target = document.getElementById(said.split("&", 1)[0]);
    const linked = said && !said.includes("=");
    if (!linked || target?.closest("[hidden]")) {
      // What the filter hides cannot be led to.
      const wanted = new URLSearchParams(linked ? "" : said);
      for (const field of fields) {
        const value = wanted.get(field.name) || "";
        const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value);
        field.value = known ? value : "";
      }
      setTimeout(lead);
    }
    if (linked && target) write();
    apply();
  };
  // Where the browser knows no such part, because of the filter behind it.
  const lead = () => {
    for (let one = target?.closest("details"); one; one = one.parentElement.closest("details")) one.open = true;
    target?.scrollIntoView();
  };
  const apply = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const choices = fields.filter((field) => field.tagName === "SELECT" && field.value);
    const filtered = words.length > 0 || choices.length > 0;
    let shown = 0;
    for (const group of groups) group.shown = 0;
    for (const row of rows) {
      if (words.length && row.text === null) row.text = row.element.textContent.toLowerCase();
      // A row that has nothing of what was chosen, such as a node with a severity, is none of the wanted.
      const fits = choices.every((field) => row.element.dataset[field.name] === field.value)
        && words.every((word) => row.text.includes(word));
      if (row.element.hidden === fits) row.element.hidden = !fits;
      if (!fits) continue;
      shown += 1;
      for (const group of row.groups) group.shown += 1;
    }
    for (const group of groups) group.element.hidden = filtered && group.shown === 0;
    count.value = filtered ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  };
  const age = (time) => {
    const hours = Math.floor((Date.now() - Date.parse(time.dateTime)) / 3600000);
    if (hours < 0) return;
    const said = hours < 48 ? [hours, "hour"] : [Math.floor(hours / 24), "day"];
    time.after(` (${said[0] ? `${said[0]} ${said[1]}${said[0] > 1 ? "s" : ""} ago` : "less than an hour ago"})`);
  };

  document.querySelectorAll("time").forEach(age);
  read();
  form.hidden = false;
  form.addEventListener("input", () => { write(); apply(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { write(); apply(); }));
  addEventListener("hashchange", read);
})();
