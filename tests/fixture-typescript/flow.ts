// What the end-to-end tests do with flows in TypeScript. The body of the request names a case, which is a branch.

import { type Context, type Data, flow, json, reject, retry } from "faas-flow";
import { total } from "./helper.ts";

/** Modifiers by the name of their case. */
const CASES: Record<string, (data: Data, context: Context) => unknown> = {
  exception: () => total(undefined as never),
  cause: () => {
    throw new RangeError("no such order", { cause: new Error("7 is unknown") });
  },
  text: () => {
    throw "only text";
  },
  number: () => 5,
  nothing: () => undefined,
  promise: () => Promise.resolve("late"),
  rejection: () => Promise.reject(new Error("late")),
  own: () => {
    throw reject("there is no such order", { status: 404 });
  },
  retry: () => {
    throw retry("the warehouse is closed");
  },
  fetch: () => fetch("http://example.test").constructor.name,
  timer: () => setTimeout(() => {}, 1).toString(),
  random: () => crypto.randomUUID(),
  clock: () => String(Date.now()),
  today: () => new Date().toISOString(),
  refused: (_, context) => context.setContentType("text"),
  json: () => json({ a: "ü" }),
  characters: () => new TextDecoder().decode(new TextEncoder().encode("aü€\u{1f600}\ud800")),
  date: () => {
    const date = new Date(Date.UTC(2026, 11, 24, 17, 0, 0));
    return `${date.toISOString()} ${date.getHours()} ${date instanceof Date} ${new Date("2026-12-24").getTime()}`;
  },
  console: (data) => {
    console.log("a line", { of: "several" }, 3);
    console.error(new Error("that went wrong"));
    return data;
  },
  endless: () => {
    const deeper = (depth: number): number => deeper(depth + 1) + 1;
    return String(deeper(0));
  },
};

/** Kinds of handlers that fail, by the name of their case. */
const KINDS = ["condition", "for-each", "aggregate", "prepare", "receive", "recover-from", "again", "moment", "signal-name", "key"];

export default flow((workflow, context) => {
  console.info("defined");
  const { dag } = workflow;
  const cases = dag.condition("case", [...Object.keys(CASES), ...KINDS, "values"], (data) => data.text());
  for (const [name, run] of Object.entries(CASES)) cases.branch(name).node("n").modify((data) => run(data, context) as string);

  const fails = (kind: string) => () => {
    throw new Error(`${kind} failed`);
  };
  const kind = (name: string) => cases.branch(name);
  kind("condition").condition("n", ["a"], fails("condition")).branch("a").node("n");
  kind("for-each").forEach("n", fails("for-each")).dag.node("n");
  kind("aggregate").forEach("n", (data) => [["1", data]]).aggregator(fails("aggregate")).dag.node("n");
  kind("prepare").node("n").apply("echo").prepare(fails("prepare"));
  kind("receive").node("n").apply("echo").receive(fails("receive"));
  kind("recover-from").node("n").apply("gone").recoverFrom(fails("recover-from"));
  kind("again").repeat("n", fails("again")).dag.node("n");
  kind("moment").node("n").sleepUntil(fails("moment"));
  kind("signal-name").node("n").waitForNamed(fails("signal-name"));
  kind("key").node("n").limit({ name: "l", concurrent: 1, key: fails("key") });

  const values = cases.branch("values");
  values.node("set").modify((data) => {
    context.set("count", { of: 2 });
    context.label("case", data.text());
    context.respond(201, { Location: "/values/1" });
    return context.node;
  });
  values.node("get").modify((data) => {
    const count = context.get<{ of: number }>("count")?.of;
    return `${data.text()} ${count} ${context.get("gone")} ${context.header("x-team")} ${context.query("page")} ${context.state}`;
  });
  values.edge("set", "get");
});
