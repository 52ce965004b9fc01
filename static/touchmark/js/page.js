"use strict";
// Small manners of every page: copy buttons, dialogs, announcements, polling that neither freezes nor lies.
(() => {
  const announcer = document.getElementById("announcer");

  function announce(text) {
    if (announcer && text && announcer.textContent !== text) announcer.textContent = text;
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS there is no clipboard: select the text instead, so that one keystroke copies it.
      const code = button.closest(".digest")?.querySelector("code");
      if (!code) return;
      code.textContent = text;
      getSelection().selectAllChildren(code);
      announce("Selected. Press Control and C to copy.");
      return;
    }
    button.dataset.copied = "";
    announce("Copied.");
    setTimeout(() => delete button.dataset.copied, 2000);
  }

  document.addEventListener("click", (event) => {
    const copier = event.target.closest("[data-copy]");
    if (copier) copy(copier);
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog")?.close();
  });

  // A second click on a submit button would send the act twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.matches("[hx-post]")) return;
    if (form.dataset.sent !== undefined) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent);
  });

  // A form that came back with faults: start where they are listed.
  document.querySelector("[data-error-summary]")?.focus();

  // What is chosen from a list while a search for it is on its way would be lost with the list: search again, with it.
  document.addEventListener("change", (event) => {
    for (const search of document.querySelectorAll("input[type=search].htmx-request[hx-target]")) {
      const list = document.querySelector(search.getAttribute("hx-target"));
      if (list?.contains(event.target)) search.dispatchEvent(new Event("search"));
    }
  });

  let opened = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    const xhr = event.detail.xhr;
    // A whole page where a part was expected: the session ended, or the page moved. Load it properly.
    if (event.detail.target !== document.body && /^\s*<!doctype html/i.test(xhr.responseText) && xhr.status < 400) {
      event.detail.shouldSwap = false;
      location.reload();
      return;
    }
    opened = [...event.detail.target.querySelectorAll("details[open][id]")].map((details) => details.id);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    const news = event.detail.target.querySelector?.("[data-announce]");
    if (news) announce(news.dataset.announce);
    setLost(event.detail.target, false);
  });

  function setLost(element, lost) {
    const note = element.closest?.("[data-polls]")?.querySelector("[data-lost]");
    if (note) note.hidden = !lost;
    if (note && lost) announce(note.textContent.trim());
  }
  document.addEventListener("htmx:sendError", (event) => setLost(event.target, true));
  document.addEventListener("htmx:responseError", (event) => setLost(event.target, true));
})();
