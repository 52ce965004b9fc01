"use strict";
// Suggested words of captions: ticking one writes it into the names of the groups, and writing one there ticks it.
(() => {
  const lines = (field) => field.value.split("\n").map((line) => line.trim().replace(/\s+/g, " ")).filter(Boolean);
  const same = (one, other) => one.toLowerCase() === other.toLowerCase();

  function write(field, names) {
    field.value = names.join("\n");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function set(field, words, wanted) {
    const names = lines(field).filter((name) => wanted || !words.some((word) => same(word, name)));
    const missing = wanted ? words.filter((word) => !names.some((name) => same(word, name))) : [];
    write(field, [...names, ...missing]);
  }

  function follow(field) {
    const names = lines(field);
    for (const box of document.querySelectorAll(`[data-fills="${CSS.escape(field.id)}"]`)) {
      box.checked = names.some((name) => same(name, box.dataset.word));
    }
  }

  document.addEventListener("change", (event) => {
    const box = event.target.closest("[data-fills]");
    if (box) set(document.getElementById(box.dataset.fills), [box.dataset.word], box.checked);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-take-words]");
    if (!button) return;
    const field = document.getElementById(button.dataset.takeWords);
    const boxes = document.querySelectorAll(`[data-fills="${CSS.escape(field.id)}"]`);
    set(field, [...boxes].map((box) => box.dataset.word), true);
  });

  document.addEventListener("input", (event) => {
    if (event.target.matches("textarea")) follow(event.target);
  });

  // The list comes after the page, and anew with every change of version or grouping.
  document.addEventListener("htmx:load", (event) => {
    const fields = new Set([...event.target.querySelectorAll("[data-fills]")].map((box) => box.dataset.fills));
    for (const id of fields) follow(document.getElementById(id));
  });
})();
