// What data may be: unicode, all bytes, nothing, much, and many.

import { concat, type Context, Dag, type Data } from "faas-flow";
import { add, join, words, type Cases } from "./parts.ts";

/** How many bytes there are, and the FNV-1a hash of about a thousand of them. */
function digest({ bytes }: Pick<Data, "bytes">): string {
  let hash = 0x811c9dc5;
  const step = Math.floor(bytes.length / 1000) + 1;
  for (let at = 0; at < bytes.length; at += step) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return `${bytes.length} ${(hash >>> 0).toString(16).padStart(8, "0")}`;
}

/** Data goes through a call, a value, an item, an edge and an aggregator. */
function throughAll(dag: Dag, _: unknown, context: Context): void {
  dag.node("call").apply("echo").receive((response) => response.body);
  dag.node("set").modify((data) => {
    context.setData("value", data);
    return "none";
  });
  const items = dag.forEach("F", () => [["only", context.getData("value") ?? ""]]).aggregator((results) => results.concat());
  items.dag.node("n").modify((data) => data);
  dag.node("forwarded").modify(digest);
  dag.edge("call", "set");
  dag.edge("set", "F");
  dag.edge("F", "forwarded").forwarder((data) => data.bytes.slice().reverse());
}

export const data: Cases = {
  unicode(dag, _, context) {
    dag.node("n").modify(add(" ü 😀 e\u0301 \ufffd")).apply("echo").modify((data) => {
      context.setData("ü 😀", data);
      context.info("logged: ü 😀");
      return "";
    });
    dag.node("m").modify(() => context.getData("ü 😀") ?? "");
    dag.edge("n", "m");
  },
  "unicode-keys"(dag, _, context) {
    const keys = ["ü", "😀", "a/b %[]", "plain"];
    const ways = dag.condition("C", keys, (data) => data.text());
    for (const key of keys) ways.branch(key).node("n").modify((data) => `${data.text()} ${context.node}`);
  },
  "unicode-items": (dag, _, context) => dag.forEach("F", words).aggregator(join).dag.node("n").modify(() => context.node),
  "long-ids"(dag) {
    // The ids of functions would be longer than they may be.
    const [node, key] = ["n".repeat(64), "ü".repeat(64)];
    const way = dag.condition(node, [key], () => key).aggregator(join).branch(key);
    way.node(node).apply("echo").receive((response) => response.body).modify(add(" n"));
  },
  binary: throughAll,
  empty: throughAll,
  large(dag) {
    dag.node("make").modify((data) => {
      while (data.size < 16 * 1024 * 1024) data = concat([data, data]);
      return data;
    });
    dag.node("call").apply("echo").modify(add("!"));
    dag.node("sum").modify(digest);
    dag.edge("make", "call");
    dag.edge("call", "sum");
  },
  "thousand-items"(dag) {
    const thousand = () => Array.from({ length: 1000 }, (_, n) => [`k${n}`, String(n)] as [string, string]);
    const items = dag.forEach("F", thousand).aggregator((results) => digest(join(results) as Data));
    items.dag.node("n").modify(add("!"));
  },
  deep(dag, _, context) {
    for (let depth = 0; depth < 28; depth += 1) {
      const inner = new Dag();
      dag.subDag("S", inner);
      dag = inner;
    }
    dag.node("n").modify((data) => `${data.text()} ${context.node.length}`);
  },
  "long-chain"(dag) {
    const ids = Array.from({ length: 100 }, (_, n) => `n${n}`);
    for (const id of ids) dag.node(id).modify(add("."));
    ids.slice(1).forEach((to, at) => dag.edge(ids[at]!, to));
  },
};
