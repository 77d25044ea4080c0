// Renews the main part of a live page once a second while the page is visible.
"use strict";

// Stands for what is shown, as far as the server says so.
let shown = null;

// Whether somebody is typing the body of a signal, which a renewal would take away.
function isTyping(main) {
  const bodies = [...main.querySelectorAll("form.signal input[name=body]")];
  return bodies.some((body) => body === document.activeElement || body.value);
}

async function renew() {
  const main = document.querySelector("main");
  if (main.dataset.live === "yes" && !document.hidden && !isTyping(main)) {
    try {
      const headers = { Accept: "text/html" };
      if (shown) headers["If-None-Match"] = shown;
      const response = await fetch(location.href, { headers });
      if (response.status !== 304) {
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const renewed = page.querySelector("main");
        if (response.ok && renewed) {
          main.replaceWith(document.adoptNode(renewed));
          shown = response.headers.get("ETag");
        }
      }
    } catch {
      // The server does not answer: keep what is shown.
    }
  }
  setTimeout(renew, 1000);
}

setTimeout(renew, 1000);
