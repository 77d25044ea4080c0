"""A flow with every construct, as `guest-sdk/rust/tests/definition.rs` has it."""

from datetime import timedelta

from faas_flow import Backoff, Context, Dag, Exhausted, Limit, Missed, Overlap, Workflow


def define(workflow: Workflow, context: Context) -> None:
    dag = workflow.dag
    dag.node("n1").retry(Backoff(3)).timeout(9).apply("func1").modify(same)
    token = "".join(context.query("token"))
    call = dag.node("n2").apply("func2/path").method("PUT").header("x-a", "1").header("x-a", "2").query("token", token)
    call.timeout(0.05).retry(Backoff(2, first_delay=timedelta(milliseconds=5), factor=1.5, max_delay=1))
    call.retry_on([404, 503]).prepare(lambda request: request.with_method("PATCH"))
    call.receive(lambda response: response.body).recover(lambda failure: f"recovered: {failure}")
    call.request("http://example.test/x").modify_json(sum)
    dag.edge("n1", "n2").forwarder(lambda data: b"f:" + data)
    dag.edge("n1", "S").execution()

    sub = Dag()
    sub.node("n1").modify(same)
    sub.node("n2")
    sub.node("n3")
    sub.edge("n1", "n2")
    sub.edge("n1", "n3")
    sub.end_aggregator(lambda ends: ends.concat())
    dag.sub_dag("S", sub)
    dag.sub_dag("S again", sub)

    branches = dag.condition("C", ["c1", "a/b"], lambda _: ["c1"]).aggregator(lambda results: results.concat())
    branches.branch("c1").node("n1").modify(same).recover_from(lambda failed: failed.input)
    branches.branch("c1").recover_from(str)
    branches.branch("a/b").node("n1").modify(same)
    dag.input_aggregator("C", lambda inputs: inputs.concat())
    items = dag.for_each("F", lambda data: [("f1", data)]).execution().max_parallel(4)
    items.dag.node("n1").modify(same)
    items.tolerate(3).tolerate_share(0.25).gather(lambda items: str(len(items)))
    items.dag.node("n2").apply("func3").recover_from(lambda failed: failed.code)
    items.dag.edge("n1", "n2")
    dag.recover_node("F", lambda failed: str(failed.tries))

    rounds = dag.repeat("R", lambda data, round: not data and round < 2).most(3).wait(1)
    rounds.dag.node("n1").modify(same)

    limit = Limit("jobs", concurrent=2, per_second=1.5, key=bytes.decode)
    dag.node("L").apply("f").limit(limit)
    dag.node("M").limit(limit)

    more = Dag()
    more.node("n4").aggregator(lambda inputs: inputs.concat())
    more.edge("n2", "n4")
    dag.append(more)

    workflow.on_failure(lambda failure: failure)
    workflow.finally_(lambda _: None)
    workflow.deadline(timedelta(minutes=1))
    workflow.on_exhausted(Exhausted.PAUSE)
    nightly = workflow.schedule("nightly", "0 30 2 * * *").time_zone("Europe/Berlin")
    nightly.missed(Missed.ONE).overlap(Overlap.REPLACE).input("{}", "application/json")
    workflow.schedule("poll", "every 10m").input(b"\xff")


def same(data: bytes) -> bytes:
    return data
