"""What a definition consists of: nodes, edges, dags within dags, waits, limits and what belongs to the whole flow."""

from datetime import timedelta

from faas_flow import Context, Dag, Exhausted, Failed, Limit, Missed, Outcome, Overlap, Wake, Workflow
from parts import Case, add, always, itself, join, refuse, words


def diamond(dag: Dag) -> None:
    """A node before two others, which are before the node `last`."""
    dag.node("first").modify(add("!"))
    for side in ("left", "right"):
        dag.node(side).modify(add(side))
        dag.edge("first", side)
        dag.edge(side, "last")


def two_ends(dag: Dag) -> None:
    """A node before two others, with which the dag ends."""
    dag.node("first")
    for end in ("b", "a"):
        dag.node(end).modify(add(end))
        dag.edge("first", end)


def chain(first: str, last: str) -> Dag:
    """Two nodes, one after the other."""
    dag = Dag()
    for id in (first, last):
        dag.node(id).modify(add(id))
    dag.edge(first, last)
    return dag


def operations(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(add(" a")).apply("echo").modify(add(" b")).modify(add(" c"))


def node_aggregator(dag: Dag, workflow: Workflow, context: Context) -> None:
    diamond(dag)
    dag.node("last").aggregator(join).modify(add(" last"))


def input_aggregator(dag: Dag, workflow: Workflow, context: Context) -> None:
    diamond(dag)
    inner = Dag()
    inner.node("n").modify(add(" n"))
    dag.sub_dag("last", inner)
    dag.input_aggregator("last", join)


def end_aggregator(dag: Dag, workflow: Workflow, context: Context) -> None:
    two_ends(dag)
    dag.end_aggregator(join)


def execution_edge(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("a").modify(add(" a"))
    dag.node("b").modify(add("b"))
    dag.edge("a", "b").execution()


def forwarder(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("a").modify(add(" a"))
    dag.node("b").modify(add(" b"))
    dag.edge("a", "b").forwarder(add(" forwarded"))


def sub_dag(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.sub_dag("S", chain("a", "b"))
    dag.node("after").modify(add(" after"))
    dag.edge("S", "after")


def nested_sub_dags(dag: Dag, workflow: Workflow, context: Context) -> None:
    # The same dag at two places, one of which is inside another.
    same, outer = chain("a", "b"), Dag()
    outer.sub_dag("inner", same)
    dag.sub_dag("outer", outer)
    dag.sub_dag("again", same)
    dag.edge("outer", "again")


def append(dag: Dag, workflow: Workflow, context: Context) -> None:
    more = chain("b", "c")
    dag.node("a").modify(add(" a"))
    dag.append(more)
    dag.edge("a", "b")


def set_dag(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("forgotten")
    workflow.dag = chain("a", "b")


def condition(dag: Dag, workflow: Workflow, context: Context) -> None:
    way = dag.condition("C", ["yes", "no"], itself)
    way.branch("yes").node("n").modify(add(" taken"))
    way.branch("no").node("n").modify(add(" refused"))
    dag.node("after").modify(add(" after"))
    dag.edge("C", "after")


def condition_of_several(dag: Dag, workflow: Workflow, context: Context) -> None:
    ways = dag.condition("C", ["a", "b", "c"], always("c", "a")).aggregator(join).max_parallel(1)
    for key in ("a", "b", "c"):
        ways.branch(key).node("n").modify(add(" way"))


def condition_with_execution(dag: Dag, workflow: Workflow, context: Context) -> None:
    ways = dag.condition("C", ["a", "b"], always("a", "b")).execution()
    ways.branch("a").node("n").apply("echo")
    ways.branch("b").node("n").modify(add("b")).apply("echo")


def for_each(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.for_each("F", words).aggregator(join).max_parallel(2).dag.node("n").modify(add("!"))


def for_each_with_execution(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.for_each("F", words).execution().dag.node("n").modify(add("item")).apply("echo")
    dag.node("after").modify(add("after"))
    dag.edge("F", "after")


def for_each_of_nothing(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.for_each("F", lambda _: {}).aggregator(join).dag.node("n")
    dag.node("after").modify(add("after"))
    dag.edge("F", "after")


def for_each_in_a_branch(dag: Dag, workflow: Workflow, context: Context) -> None:
    way = dag.condition("C", ["only"], always("only"))
    items = way.branch("only").for_each("F", words).aggregator(join)
    items.dag.for_each("G", lambda data: {"x": data, "y": data}).aggregator(join).dag.node("n").modify(add("."))


def repeat(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.repeat("R", lambda data, round: round < 3).most(5).wait(timedelta(minutes=1)).dag.node("n").modify(add("+"))


def repeat_too_often(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.repeat("R", lambda data, round: True).most(2).dag.node("n").apply("echo")


def sleep(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(add(" before")).sleep(timedelta(hours=1)).modify(add(" after"))


def sleep_until(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").sleep_until(lambda data: Wake.at(data.decode())).modify(add(" at"))
    dag.node("m").sleep_until(lambda data: Wake.after(1.5)).modify(add(" after"))
    dag.edge("n", "m")


def wait_for(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(add(" before")).wait_for("approval").modify(add(" after"))


def wait_for_named(dag: Dag, workflow: Workflow, context: Context) -> None:
    items = dag.for_each("F", words).aggregator(join)
    items.dag.node("n").wait_for_named(lambda item: f"signed-by-{item.decode()}")


def wait_timeout(dag: Dag, workflow: Workflow, context: Context) -> None:
    def late(failed: Failed) -> str:
        return f"{failed.kind.value} of {failed.input.decode()}"

    dag.node("n").wait_for("never").timeout(timedelta(days=2)).recover_from(late)


def limits(dag: Dag, workflow: Workflow, context: Context) -> None:
    by_data = Limit("calls", concurrent=2, per_second=2.5, key=bytes.decode)
    dag.node("n").limit(Limit("nodes", concurrent=1)).modify(add("n")).apply("echo").limit(by_data)
    dag.node("m").limit(by_data).modify(add(" m"))
    dag.edge("n", "m")


def schedules(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n")
    nightly = workflow.schedule("nightly", "0 30 2 * * *").time_zone("Europe/Berlin")
    nightly.missed(Missed.ONE).overlap(Overlap.QUEUE).input("{}", "application/json")
    workflow.schedule("poll", "every 10m").missed(Missed.ALL).overlap(Overlap.REPLACE).input(b"\xff")
    workflow.schedule("daily", "@daily").missed(Missed.SKIP).overlap(Overlap.ALLOW)


def deadline(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").sleep(timedelta(hours=1))
    workflow.deadline(90)


def on_exhausted(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").apply("step")
    workflow.on_exhausted(Exhausted.PAUSE)


def on_failure(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(refuse)

    @workflow.on_failure
    def failed(failure: str) -> str:
        context.info(f"{context.state.value} with {failure}")
        return "sorry"

    workflow.finally_(lambda outcome: context.info(f"{outcome.value}, {context.state.value}"))


def finally_(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(add("!"))

    @workflow.finally_
    def end(outcome: Outcome) -> None:
        ended = "well" if outcome is Outcome.SUCCESS else "badly"
        context.info(f"ended {ended}, {context.state.value}")


CASES: dict[str, Case] = {
    "operations": operations,
    "no-operations": lambda dag, workflow, context: dag.node("n"),
    "node-aggregator": node_aggregator,
    "input-aggregator": input_aggregator,
    "end-aggregator": end_aggregator,
    "two-ends": lambda dag, workflow, context: two_ends(dag),
    "execution-edge": execution_edge,
    "forwarder": forwarder,
    "sub-dag": sub_dag,
    "nested-sub-dags": nested_sub_dags,
    "append": append,
    "set-dag": set_dag,
    "condition": condition,
    "condition-of-several": condition_of_several,
    "condition-with-execution": condition_with_execution,
    "for-each": for_each,
    "for-each-with-execution": for_each_with_execution,
    "for-each-of-nothing": for_each_of_nothing,
    "for-each-in-a-branch": for_each_in_a_branch,
    "repeat": repeat,
    "repeat-too-often": repeat_too_often,
    "sleep": sleep,
    "sleep-until": sleep_until,
    "wait-for": wait_for,
    "wait-for-named": wait_for_named,
    "wait-timeout": wait_timeout,
    "limits": limits,
    "schedules": schedules,
    "deadline": deadline,
    "on-exhausted": on_exhausted,
    "on-failure": on_failure,
    "finally": finally_,
}
