"use strict";
(() => {
  const form = document.getElementById("filter");
  const fields = [...form.querySelectorAll("[name]")];
  const count = document.getElementById("count");
  const rows = [...document.querySelectorAll("[data-row]")].map((element) => ({ element, text: null }));
  const groups = [...document.querySelectorAll("[data-group]")];

  // A part of the page is named by a fragment without =, the filter by one with it.
  const read = () => {
    const said = location.hash.slice(1);
    if (said && !said.includes("=")) return;
    const wanted = new URLSearchParams(said);
    for (const field of fields) {
      const value = wanted.get(field.name) || "";
      const known = field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value);
      field.value = known ? value : "";
    }
  };
  const write = () => {
    const set = new URLSearchParams(fields.filter((field) => field.value).map((field) => [field.name, field.value]));
    history.replaceState(null, "", `#${set}`);
  };
  const apply = () => {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const choices = fields.filter((field) => field.tagName === "SELECT" && field.value);
    let shown = 0;
    for (const row of rows) {
      if (words.length && row.text === null) row.text = row.element.textContent.toLowerCase();
      const fits = words.every((word) => row.text.includes(word))
        && choices.every((field) => row.element.dataset[field.name] === field.value);
      row.element.hidden = !fits;
      shown += fits;
    }
    for (const group of groups) group.hidden = !group.querySelector("[data-row]:not([hidden])");
    count.value = words.length || choices.length ? `${shown} of ${rows.length} rows` : `${rows.length} rows`;
  };

  read();
  apply();
  form.hidden = false;
  form.addEventListener("input", () => { write(); apply(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(() => { write(); apply(); }));
  addEventListener("hashchange", () => { read(); apply(); });
})();
