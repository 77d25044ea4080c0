import { concat, Dag, flow, json, type Data, type Limit } from "faas-flow";

const same = (data: Data) => data;

/** A flow with every construct: that of guest-sdk/rust/tests/definition.rs. */
export default flow((workflow, context) => {
  const dag = workflow.dag;
  dag.node("n1").retry({ attempts: 3 }).timeout("9s").apply("func1").modify(same);
  dag
    .node("n2")
    .apply("func2/path")
    .method("PUT")
    .header("x-a", "1")
    .header("x-a", "2")
    .query("token", context.query("token") ?? "")
    .timeout(50)
    .retry({ attempts: 2, firstDelay: "5ms", factor: 1.5, maxDelay: "1s" })
    .retryOn(404, 503)
    .prepare((request) => request.withMethod("PATCH"))
    .receive((response) => response.body)
    .recover((failure) => `recovered: ${failure}`)
    .request("http://example.test/x")
    .modifyJson((numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0));
  dag.edge("n1", "n2").forwarder((data) => concat(["f:", data]));
  dag.edge("n1", "S").execution();

  const sub = new Dag();
  sub.node("n1").modify(same);
  sub.node("n2");
  sub.node("n3");
  sub.edge("n1", "n2");
  sub.edge("n1", "n3");
  sub.endAggregator((ends) => ends.concat());
  dag.subDag("S", sub);
  dag.subDag("S-again", sub);

  const branches = dag.condition("C", ["c1", "a/b"], () => ["c1"]).aggregator((results) => results.concat());
  branches.branch("c1").node("n1").modify(same).recoverFrom((failed) => failed.input);
  branches.branch("c1").recoverFrom((failed) => String(failed));
  branches.branch("a/b").node("n1").modify(same);
  dag.inputAggregator("C", (inputs) => inputs.concat());
  const items = dag.forEach("F", (data) => [["f1", data]]).execution().maxParallel(4);
  items.dag.node("n1").modify(same);
  items.tolerate(3).tolerateShare(0.25).gather((items) => String(items.length));
  items.dag.node("n2").apply("func3").recoverFrom((failed) => failed.code);
  items.dag.edge("n1", "n2");
  dag.recoverNode("F", (failed) => String(failed.tries));

  const rounds = dag.repeat("R", (data, round) => data.size === 0 && round < 2).most(3).wait("1s");
  rounds.dag.node("n1").modify(same);

  const limit: Limit = { name: "jobs", concurrent: 2, perSecond: 1.5, key: (data) => data.text() };
  dag.node("L").apply("f").limit(limit);
  dag.node("M").limit(limit);

  const more = new Dag();
  more.node("n4").aggregator((inputs) => inputs.concat());
  more.edge("n2", "n4");
  dag.append(more);

  // Beyond the flow of the test in Rust, which no host takes.
  const waits = dag.node("W").waitFor("paid").timeout("2d").recoverFrom(() => json({ decision: "reject" }));
  waits.waitForNamed((data) => `signed-by-${data.text()}`).sleep("1s");
  dag.node("T").sleepUntil((data) => (data.size === 0 ? { after: "5ms" } : { at: data.text() })).apply("f").asynchronous();
  for (const id of ["S-again", "C", "F", "R", "L", "M", "W", "T"]) dag.edge("n1", id);

  workflow.onFailure((failure) => failure);
  workflow.finally(() => {});
  workflow.deadline("1m");
  workflow.onExhausted("pause");
  const nightly = workflow.schedule("nightly", "0 30 2 * * *").timeZone("Europe/Berlin");
  nightly.missed("one").overlap("replace").input("{}", "application/json");
  workflow.schedule("poll", "every 10m").input(Uint8Array.of(0xff), "");
});
