// Greets by name. The smallest possible flow: one node with one modifier.

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
    throw reject("the data is not valid UTF-8");
  }
}

// A failure that the host does not retry. For one that it retries, the tag is "retry".
function reject(val) {
  return { tag: "reject", val };
}
