// Greets by name: the smallest flow there is, one node with one modifier.

import { decode, encode } from "./utf8.js";

export const definition = {
  define(flow) {
    flow.handlers(["greet/0"]);
    flow.dag().node("greet").modify("greet/0");
  },
};

export const handlers = {
  modify(id, data) {
    if (id !== "greet/0") throw reject(`the flow has no handler \`${id}\``);
    return encode(greet(text(data)));
  },
};

function greet(name) {
  if (name.trim() === "") throw reject("there is no name to greet: send one as the body");
  return `Hello, ${name.trim()}!`;
}

function text(data) {
  try {
    return decode(data);
  } catch {
    throw reject("the data is not UTF-8 text");
  }
}

// One of the contract's two failures: trying again cannot help. The other is `{ tag: "retry", val }`.
function reject(val) {
  return { tag: "reject", val };
}
