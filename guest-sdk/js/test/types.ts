// What the types refuse. Nothing here is executed: `npm run check` compiles it.

import { Dag, type Duration, flow, json, type Data } from "faas-flow";

const dag = new Dag();
const node = dag.node("n");

const condition = dag.condition("C", ["small", "large"], (data) => (data.size < 9 ? "small" : "large"));
condition.branch("small");
// @ts-expect-error A branch that the condition does not list.
condition.branch("smal");
// @ts-expect-error A key that the condition does not list.
dag.condition("C", ["small", "large"], () => "smal");
// @ts-expect-error Some keys that the condition does not list.
dag.condition("C", ["small", "large"], () => ["small", "huge"]);
dag.condition("C", ["small", "large"], () => ["small", "large"]);
dag.condition("C", ["small", "large"], () => new Set(["small", "large"] as const));

// @ts-expect-error An async modifier.
node.modify(async (data) => data);
// @ts-expect-error An async modifier of JSON.
node.modifyJson(async (value: number) => value);
// @ts-expect-error An async condition.
dag.condition("C", ["a"], async () => "a");
// @ts-expect-error An async for-each.
dag.forEach("F", async () => []);
// @ts-expect-error An async generator.
dag.forEach("F", async function* () {});
// @ts-expect-error An async repeat.
dag.repeat("R", async () => true);
// @ts-expect-error An async forwarder.
dag.edge("a", "b").forwarder(async (data) => data);
// @ts-expect-error An async aggregator.
node.aggregator(async (inputs) => inputs.concat());
// @ts-expect-error An async `prepare`.
node.apply("f").prepare(async (request) => request);
// @ts-expect-error An async `receive`.
node.apply("f").receive(async (response) => response.body);
// @ts-expect-error An async `recover`.
node.apply("f").recover(async (failure) => failure);
// @ts-expect-error An async `recoverFrom`.
node.recoverFrom(async (failed) => failed.input);
// @ts-expect-error An async gather.
dag.forEach("F", () => []).gather(async () => "");
// @ts-expect-error An async moment.
node.sleepUntil(async () => ({ after: 1 }));
// @ts-expect-error An async name of a signal.
node.waitForNamed(async () => "a");
// @ts-expect-error An async key of a limit.
node.limit({ name: "l", concurrent: 1, key: async () => "a" });
// @ts-expect-error An async `define`.
flow(async () => {});
flow((workflow, context) => {
  // @ts-expect-error An async failure handler.
  workflow.onFailure(async (failure) => failure);
  // @ts-expect-error An async finally handler.
  workflow.finally(async () => {});
  workflow.finally((outcome) => context.info(outcome));
  workflow.finally(() => {});
});

// @ts-expect-error A modifier that returns nothing.
node.modify(() => {});
// @ts-expect-error A modifier that returns an object without `json`.
node.modify(() => ({ a: 1 }));
node.modify(() => json({ a: 1 }));
interface Order {
  total: number;
}
node.modifyJson((order: Order): Order => order);
node.modifyJson((order: Order) => order.total);
// @ts-expect-error A plain object has no order that counts.
dag.forEach("F", () => ({ a: "b" }));
dag.forEach("F", (data) => new Map([["a", data]]));
dag.forEach("F", function* (data: Data) {
  for (const line of data.text().split("\n")) yield [line, line] as const;
});

const times: Duration[] = [5, "5s", "1.5h", "2d", "250ms"];
node.sleep(times[0]!);
// @ts-expect-error No unit.
node.sleep("5");
// @ts-expect-error A unit that is none.
node.sleep("5 seconds");
// @ts-expect-error A moment that is neither after nor at.
node.sleepUntil(() => ({}));
