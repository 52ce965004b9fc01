"use strict";
// A part of a form that the server draws anew ([data-keeps-typed]): what was filled in while its answer was on the way
// is put back into the new part, and told to whoever listens, so that a slow answer loses nothing.
(() => {
  let kept = null;

  function isNews(field, sent) {
    if (field.type === "radio" || field.type === "checkbox") {
      return field.checked !== sent.getAll(field.name).includes(field.value);
    }
    return sent.has(field.name) && field.value !== String(sent.get(field.name)).replaceAll("\r\n", "\n");
  }

  function filledSince(part, sent) {
    const fields = [...part.querySelectorAll("input:not([type=hidden]), select, textarea")];
    const news = fields.filter((field) => field.name && isNews(field, sent));
    // Copied: once the new part is in the form, its radio buttons uncheck the old ones.
    return news.map(({ name, type, value, checked }) => ({ name, type, value, checked }));
  }

  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    if (!part.matches?.("[data-keeps-typed]")) return;
    const sent = event.detail.requestConfig.formData;
    // Where a set was taken out, the names of the fields have moved on.
    kept = sent.has("remove_set") ? null : { id: part.id, fields: filledSince(part, sent), told: [] };
  });

  document.addEventListener("htmx:afterSwap", () => {
    const part = kept && document.getElementById(kept.id);
    if (!part || !kept.fields.length) return;
    for (const old of kept.fields.splice(0)) {
      const choice = old.type === "radio" || old.type === "checkbox";
      const same = [...part.querySelectorAll(`[name="${CSS.escape(old.name)}"]`)];
      const field = choice ? same.find((one) => one.value === old.value) : same[0];
      if (!field) continue;
      if (choice) field.checked = old.checked;
      else field.value = old.value;
      if (old.type !== "radio" || old.checked) kept.told.push(field);
    }
  });

  document.addEventListener("htmx:afterSettle", () => {
    for (const field of kept?.told.splice(0) ?? []) field.dispatchEvent(new Event("change", { bubbles: true }));
  });
})();
