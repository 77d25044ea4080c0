"""Branches that are chosen at run time: a condition, with a for-each in one of its branches."""

from collections.abc import Callable

from faas_flow import Context, Inputs, Workflow


def define(workflow: Workflow, context: Context) -> None:
    """Describes the flow."""
    dag = workflow.dag
    dag.node("n1").modify(append(b" n1"))

    branches = dag.condition("C", ["c1", "c2"], lambda data: ["c1", "c2"]).aggregator(join)
    items = branches.branch("c1").for_each("F", lambda data: {"f1": data, "f2": data})
    items.aggregator(join).dag.node("n1").modify(append(b" F/n1"))
    branches.branch("c2").node("n1").apply("func1").modify(append(b" c2/n1"))

    dag.node("n2").apply("fake-storage")
    dag.edge("n1", "C")
    dag.edge("C", "n2")


def append(suffix: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data + suffix


def join(results: Inputs) -> bytes:
    return b", ".join(key.encode() + b"=" + data for key, data in results.items())
