// Renews the main part of a live page: by the stream of events that the server sends, or once a second where there is none.
// Idiomorph (idiomorph.min.js) changes what differs and leaves the rest alone: focus, scrolling, and what somebody has typed.
"use strict";

(() => {
  const address = location.pathname + location.search;
  // How long a page asks by itself until it tries the stream again, and how long a stream may be silent, in milliseconds.
  const PATIENCE = 60_000;
  const SILENCE = 40_000;
  let source = null;
  let heard = 0;
  // The lines of what is shown, of which patches keep some.
  let lines = null;
  // Until when the page asks by itself, and what it has, as far as the server says so.
  let polls = 0;
  let tag = null;

  const main = () => document.querySelector("main");
  const isLive = () => main().dataset.live === "yes";

  // What somebody has typed stays, and what somebody has opened or closed stays so.
  function mayChange(from, to) {
    if (from instanceof HTMLInputElement || from instanceof HTMLTextAreaElement) {
      const isHeld = from === document.activeElement || from.value !== from.defaultValue;
      return from.type === "hidden" || !isHeld;
    }
    if (from instanceof HTMLDetailsElement && to instanceof HTMLDetailsElement) to.open = from.open;
    return true;
  }

  function show(renewed) {
    const badge = document.querySelector("h1 .badge")?.textContent;
    Idiomorph.morph(main(), [...renewed.childNodes], { morphStyle: "innerHTML", callbacks: { beforeNodeMorphed: mayChange } });
    const now = document.querySelector("h1 .badge")?.textContent;
    // For those who listen to the page.
    if (now !== badge) document.querySelector("[role=status]").textContent = now ?? "";
  }

  function showLines() {
    const page = new DOMParser().parseFromString(`<main>${lines.join("\n")}</main>`, "text/html");
    show(page.querySelector("main"));
  }

  function close() {
    source?.close();
    source = null;
    lines = null;
  }

  function listen() {
    source = new EventSource(address);
    heard = Date.now();
    const on = (name, act) =>
      source.addEventListener(name, (event) => {
        heard = Date.now();
        polls = 0;
        act(JSON.parse(event.data));
      });
    on("hello", () => {});
    on("beat", () => {});
    on("page", (text) => {
      lines = text.split("\n");
      showLines();
    });
    on("patch", (parts) => {
      const old = lines;
      lines = parts.flatMap((part) => (typeof part === "string" ? part.split("\n") : old.slice(part[0], part[0] + part[1])));
      showLines();
    });
    on("end", () => {
      main().dataset.live = "";
      close();
    });
    source.onerror = () => {
      // The browser comes again by itself, unless the server has refused.
      if (source?.readyState !== EventSource.CLOSED) return;
      close();
      polls = Date.now() + PATIENCE;
    };
  }

  async function poll() {
    try {
      const headers = { Accept: "text/html" };
      if (tag) headers["If-None-Match"] = tag;
      const response = await fetch(address, { headers });
      if (response.ok) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const renewed = page.querySelector("main");
        if (renewed) {
          show(renewed);
          main().dataset.live = renewed.dataset.live ?? "";
          tag = response.headers.get("ETag");
        }
      }
    } catch {
      // The server does not answer: keep what is shown.
    }
  }

  async function look() {
    if (isLive() && !document.hidden) {
      // A proxy may keep a stream to itself.
      if (source && Date.now() - heard > (lines ? SILENCE : SILENCE / 8)) {
        close();
        polls = Date.now() + PATIENCE;
      }
      if (Date.now() < polls) await poll();
      else if (!source) listen();
    }
    setTimeout(look, 1000);
  }

  // Browsers open few connections to a server, so a page that nobody sees has none.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (isLive() && !source && Date.now() >= polls) listen();
  });
  addEventListener("pagehide", close);

  look();

  // An action for many runs goes on by itself.
  document.querySelector("form.goes-on")?.submit();
})();
