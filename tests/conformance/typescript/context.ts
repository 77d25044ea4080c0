// Each function of the context.

import { concat } from "faas-flow";
import { join, type Cases } from "./parts.ts";

/** An address without what is signed in it. */
const cut = (url: string) => url.split("?")[0];

export const contexts: Cases = {
  facts(dag, _, context) {
    dag.node("n").modify(() => {
      const { requestId, flowName, node, state } = context;
      const query = `${context.queryAll("a b").join()} ${context.queryAll("none").length}`;
      const header = `${context.headerAll("x-team").join()} ${context.headerAll("authorization").length}`;
      return `${requestId} ${flowName} ${node} ${state} query ${query} header ${header}`;
    });
  },
  "facts-in-define"(dag, _, context) {
    // The definition itself depends on the request.
    dag.node(context.query("id") ?? "").sleep(Number(context.header("x-times")) * 1000);
  },
  values(dag, _, context) {
    dag.node("set").modify((data) => {
      context.setData("kept", data);
      context.setData("empty", "");
      context.setData("dropped", data);
      return context.getData("kept") ?? "";
    });
    dag.node("drop").modify((data) => {
      context.delete("dropped");
      context.delete("never");
      return data;
    });
    dag.node("get").modify(() => {
      const values = ["kept", "empty", "dropped", "never"].map((key) => context.getData(key));
      return values.map((value) => (value ? `<${value.text()}>` : "none")).join(" ");
    });
    dag.edge("set", "drop");
    dag.edge("drop", "get");
  },
  json(dag, _, context) {
    dag.node("n").modifyJson((numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0));
    dag.node("m").modify((data) => `${data.text()} as ${context.contentType}`);
    dag.edge("n", "m");
  },
  inputs(dag, _, context) {
    dag.node("first");
    for (const side of ["left", "right"]) {
      dag.node(side).modify((data) => {
        context.setContentType(`text/${side}`);
        return concat([data, side]);
      });
      dag.edge("first", side);
      dag.edge(side, "last");
    }
    dag.edge("first", "last");
    dag.node("last").modify((data) =>
      concat([`${data.size} bytes, `, join(context.inputs), `, ${context.contentTypes.join(", ")}`]),
    );
  },
  "content-types"(dag, _, context) {
    dag.node("n").modify(() => {
      context.setContentType("text/html; charset=utf-8");
      return context.contentType;
    });
    dag.node("m").aggregator((inputs) => {
      context.setContentType("text/csv");
      return `${inputs.concat().text()}|${context.contentType}|${context.contentTypes.join(", ")}`;
    });
    dag.node("last").modify((data) => `${data.text()}|${context.contentType}`);
    dag.edge("n", "m");
    dag.edge("m", "last");
  },
  respond(dag, _, context) {
    dag.node("n").modify((data) => {
      context.respond(201, { Location: "/orders/7", "X-Order": "7" });
      return data;
    });
  },
  labels(dag, _, context) {
    dag.node("n").modify((data) => {
      context.label("order", "41");
      context.label("order", data.text());
      context.label("by/n", "ü");
      return data;
    });
  },
  "signal-url"(dag, _, context) {
    dag.node("n").modify(() => `${cut(context.signalUrl("approval"))} ${cut(context.signalUrl("paid", "1h"))}`);
  },
  log(dag, _, context) {
    dag.node("n").modify((data) => {
      for (const level of ["debug", "info", "warn", "error"] as const) context[level](`${level} ${data.text()}`);
      return data;
    });
  },
  "refused-content-type"(dag, _, context) {
    dag.node("n").modify((data) => {
      context.setContentType("text");
      return data;
    });
  },
  "refused-answer"(dag, _, context) {
    dag.node("n").modify((data) => {
      context.respond(99);
      return data;
    });
  },
  "refused-label"(dag, _, context) {
    dag.node("n").modify((data) => {
      context.label("no key", "");
      return data;
    });
  },
  "refused-value"(dag, _, context) {
    dag.node("n").modify((data) => {
      context.setData("", "");
      return data;
    });
  },
  "refused-signal": (dag, _, context) => dag.node("n").modify(() => context.signalUrl("no name")),
};
