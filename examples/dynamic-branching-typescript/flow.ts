// Branches that are chosen at run time: a condition, with a for-each in one of its branches.

import { flow, type Data, type Inputs } from "faas-flow";

export default flow(({ dag }) => {
  dag.node("n1").modify(append(" n1"));

  const branches = dag.condition("C", ["c1", "c2"], () => ["c1", "c2"]).aggregator(join);
  const items = branches.branch("c1").forEach("F", (data) => [["f1", data], ["f2", data]]);
  items.aggregator(join).dag.node("n1").modify(append(" F/n1"));
  branches.branch("c2").node("n1").apply("func1").modify(append(" c2/n1"));

  dag.node("n2").apply("fake-storage");
  dag.edge("n1", "C");
  dag.edge("C", "n2");
});

function append(suffix: string) {
  return (data: Data) => data.text() + suffix;
}

function join(results: Inputs) {
  return [...results].map(([key, data]) => `${key}=${data.text()}`).join(", ");
}
