// A flow of one node: what the body says, the node does. It shows what JavaScript gets from the host through WASI.

import { decode, encode } from "./utf8.js";

export const definition = {
  define(flow) {
    flow.handlers(["act"]);
    flow.dag().node("act").modify("act");
  },
};

export const handlers = {
  modify(id, data) {
    const what = decode(data);
    switch (what) {
      case "now":
        return encode(new Date().toISOString());
      case "crash":
        return encode(price(undefined));
      default:
        throw { tag: "reject", val: `there is no handler \`${id}\` that can ${what}` };
    }
  },
};

function price(order) {
  return String(order.amount);
}
