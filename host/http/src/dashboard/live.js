// Renews the main part of a live page once a second while the page is visible.
"use strict";

async function renew() {
  const main = document.querySelector("main");
  if (main.dataset.live === "yes" && !document.hidden) {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const renewed = page.querySelector("main");
      if (response.ok && renewed) main.replaceWith(document.adoptNode(renewed));
    } catch {
      // The server does not answer: keep what is shown.
    }
  }
  setTimeout(renew, 1000);
}

setTimeout(renew, 1000);
