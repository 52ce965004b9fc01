"use strict";
// Uploads one file of a form in pieces: starts when the file is chosen, goes on after a lost connection or a reload,
// and sends the form when the last piece is there. The server alone knows how far it is; the browser asks and follows.
(() => {
  const FIRST_PIECE = 512 * 1024;
  const QUICK = 2000; // milliseconds: pieces that take less are followed by larger ones
  const WAITS = [1, 2, 4, 8, 15, 30]; // seconds between tries

  const form = document.querySelector("form[data-upload]");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const idField = form.querySelector("input[name=upload]");
  const organisation = form.querySelector("[name=organisation]");
  const box = form.querySelector("[data-upload-box]");
  const bar = box.querySelector("progress");
  const text = box.querySelector("[data-upload-text]");
  const pause = box.querySelector("[data-upload-pause]");
  const token = form.querySelector("input[name=csrfmiddlewaretoken]").value;
  const largest = Number(form.dataset.chunkBytes);

  let run = 0; // every choice of a file is a new run; older ones end by themselves
  let paused = false;
  let sendWhenDone = false;
  let uploading = false;

  const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  // As provenance/wording.py says sizes.
  const size = (bytes) => {
    if (bytes === 1) return "1 byte";
    const units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    for (; bytes >= 1024 && unit < units.length - 1; unit++) bytes /= 1024;
    return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
  };

  function say(message, tone) {
    if (text.textContent !== message) text.textContent = message;
    box.classList.toggle("upload-bad", tone === "bad");
  }

  // The name, size and date are not enough to know a file again: both its ends are hashed where the browser can.
  async function fingerprint(file) {
    const ends = [file.slice(0, 65536), file.slice(Math.max(0, file.size - 65536))];
    const named = `${file.lastModified}`;
    if (!crypto.subtle) return named;
    const digest = await crypto.subtle.digest("SHA-256", await new Blob(ends).arrayBuffer());
    return named + "-" + [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // Resolves with {status, answer}; rejects only when the connection failed.
  function post(url, body, onProgress) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", url);
      request.setRequestHeader("X-CSRFToken", token);
      if (body instanceof Blob) request.setRequestHeader("Content-Type", "application/octet-stream");
      if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded);
      request.timeout = 120000;
      request.onerror = request.ontimeout = () => reject(new Error("connection"));
      request.onload = () => {
        let answer = {};
        try {
          answer = JSON.parse(request.responseText);
        } catch {
          // an error page of a proxy or of the server itself: the status says enough
        }
        if (request.status >= 500) reject(new Error("server"));
        else resolve({ status: request.status, answer });
      };
      request.send(body);
    });
  }

  // Tries until the server answers; gives up on nothing but a new choice of file.
  async function persistently(mine, action) {
    for (let attempt = 0; mine === run; attempt++) {
      try {
        return await action();
      } catch {
        const wait = WAITS[Math.min(attempt, WAITS.length - 1)];
        say(`The connection is interrupted. Trying again in ${wait} s; nothing is lost.`, "bad");
        await sleep(wait * 1000);
      }
    }
    return null;
  }

  function begin(file, mark) {
    const body = new FormData();
    body.set("name", file.name);
    body.set("size", file.size);
    body.set("fingerprint", mark);
    body.set("organisation", organisation ? organisation.value : form.dataset.organisation);
    return post(form.dataset.begin, body);
  }

  function show(received, file, started, begunAt) {
    bar.value = file.size ? received / file.size : 0;
    const seconds = (Date.now() - started) / 1000;
    const rate = (received - begunAt) / seconds;
    const left = rate > 0 && seconds > 2 ? `, about ${duration((file.size - received) / rate)} left` : "";
    say(`${size(received)} of ${size(file.size)} (${Math.floor((100 * received) / file.size)} %)${left}`);
  }

  function duration(seconds) {
    if (seconds < 90) return `${Math.ceil(seconds)} s`;
    return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
  }

  async function upload(file) {
    const mine = ++run;
    box.hidden = false;
    uploading = true;
    idField.value = "";
    setPaused(false);
    say("Preparing …");
    bar.value = 0;
    let mark;
    try {
      mark = await fingerprint(file);
    } catch {
      return fail("The browser cannot read this file. Choose it again.");
    }
    const begun = await persistently(mine, () => begin(file, mark));
    if (!begun) return;
    if (begun.status !== 200) return fail(begun.answer.error ?? refusal(begun.status));
    let { id, received } = begun.answer;
    const started = Date.now();
    const begunAt = received;
    let piece = Math.min(FIRST_PIECE, largest);
    while (received < file.size && mine === run) {
      if (paused) {
        await sleep(200);
        continue;
      }
      show(received, file, started, begunAt);
      const from = received;
      const sent = Date.now();
      const url = `${form.dataset.begin}${id}/chunk/?offset=${from}`;
      const chunk = file.slice(from, Math.min(file.size, from + piece));
      const told = await persistently(mine, () =>
        post(url, chunk, (loaded) => show(Math.min(file.size, from + loaded), file, started, begunAt)),
      );
      if (!told) return;
      // 409: an earlier try arrived after all, or another tab is uploading too. Follow the server.
      if (told.status !== 200 && told.status !== 409) return fail(told.answer.error ?? refusal(told.status));
      received = told.answer.received;
      piece = Date.now() - sent < QUICK ? Math.min(piece * 2, largest) : Math.max(piece / 2, Math.min(FIRST_PIECE, largest));
    }
    if (mine !== run) return;
    uploading = false;
    idField.value = id;
    bar.value = 1;
    pause.hidden = true;
    say(`${file.name} is uploaded (${size(file.size)}).`);
    if (sendWhenDone) form.requestSubmit();
  }

  const refusal = (status) =>
    status === 403 || status === 404
      ? "You are signed out, or may not upload here. Load the page again; the upload goes on where it stopped."
      : "The server refused the file. Load the page again; the upload goes on where it stopped.";

  function fail(message) {
    uploading = sendWhenDone = false;
    pause.hidden = true;
    say(message, "bad");
    box.focus();
  }

  function setPaused(value) {
    paused = value;
    pause.hidden = !uploading;
    pause.textContent = value ? "Go on" : "Pause";
    if (value) say("Paused. What has arrived is kept, also when you leave this page.");
  }

  input.addEventListener("change", () => {
    if (input.files[0]) upload(input.files[0]);
  });
  organisation?.addEventListener("change", () => {
    if (input.files[0]) upload(input.files[0]);
  });
  pause.addEventListener("click", () => setPaused(!paused));
  form.addEventListener("submit", (event) => {
    if (!uploading) return;
    event.preventDefault();
    event.stopPropagation(); // or page.js would take the sending at the end for a second click
    sendWhenDone = true;
    setPaused(false);
    say("The form is sent as soon as the upload is complete.");
  });
  addEventListener("beforeunload", (event) => {
    if (uploading) event.preventDefault();
  });

  for (const button of document.querySelectorAll("[data-upload-discard]")) {
    button.addEventListener("click", async () => {
      const { status } = await post(button.dataset.uploadDiscard, new FormData()).catch(() => ({ status: 0 }));
      if (status === 200) button.closest("li").remove();
    });
  }
  for (const button of document.querySelectorAll("[data-upload-use]")) {
    button.addEventListener("click", () => {
      run++;
      uploading = false;
      input.value = "";
      idField.value = button.dataset.uploadUse;
      box.hidden = false;
      pause.hidden = true;
      bar.value = 1;
      say(`${button.dataset.uploadName} is used; it is uploaded already.`);
    });
  }
  // A quick hand, or a browser that restores the form, has chosen a file before this script ran.
  if (input.files.length) upload(input.files[0]);
})();
