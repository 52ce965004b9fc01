"use strict";
// The switch between the system's colours, light and dark. The choice is a cookie, so that the server writes it into the
// next page and no page flashes. Charts listen to "touchmark:theme".
(() => {
  const root = document.documentElement;
  const order = ["system", "light", "dark"];
  const current = () => root.dataset.theme || "system";

  function label(button) {
    const word = button.querySelector("[data-theme-word]");
    if (word) word.textContent = current();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-switch]");
    if (!button) return;
    const next = order[(order.indexOf(current()) + 1) % order.length];
    if (next === "system") {
      delete root.dataset.theme;
      document.cookie = "theme=; path=/; max-age=0; samesite=lax";
    } else {
      root.dataset.theme = next;
      document.cookie = `theme=${next}; path=/; max-age=31536000; samesite=lax`;
    }
    label(button);
    document.dispatchEvent(new CustomEvent("touchmark:theme"));
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("touchmark:theme"));
  });
  document.querySelectorAll("[data-theme-switch]").forEach(label);
})();
