// Renews the main part of a live page once a second while the page is visible.
"use strict";

// Stands for what is shown, as far as the server says so.
let shown = null;

// Whether somebody is typing into a field, which a renewal would take away.
function isTyping(main) {
  const fields = [...main.querySelectorAll("input:not([type=hidden]), textarea")];
  return fields.some((field) => field === document.activeElement || field.value !== field.defaultValue);
}

// What somebody has opened or closed stays so.
function keepDetails(from, to) {
  for (const details of from.querySelectorAll("details[id]")) {
    const renewed = to.querySelector(`details[id="${CSS.escape(details.id)}"]`);
    if (renewed) renewed.open = details.open;
  }
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
          keepDetails(main, renewed);
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

// An action for many runs goes on by itself.
document.querySelector("form.goes-on")?.submit();
