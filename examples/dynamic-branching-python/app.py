"""Branches that are chosen at run time: a condition, with a for-each in one of its branches."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.builder import Workflow
from wit_world.imports.types import Carries_Output, Failure_Reject

Named = list[tuple[str, bytes]]


class Definition(exports.Definition):
    def define(self, flow: Workflow) -> None:
        flow.handlers(sorted(MODIFIERS | AGGREGATORS | CONDITIONS | FOR_EACHES))

        dag = flow.dag()
        dag.node("n1").modify("n1/0")

        branches = dag.condition("C", "C/condition")
        items = branches.branch("c1").for_each("F", "C[c1]/F/for-each")
        items.each().node("n1").modify("C[c1]/F[]/n1/0")
        items.aggregate("C[c1]/F/aggregate-branches")
        c2 = branches.branch("c2").node("n1")
        c2.apply("func1")
        c2.modify("C[c2]/n1/1")
        branches.aggregate("C/aggregate-branches")

        dag.node("n2").apply("fake-storage")
        dag.edge("n1", "C", Carries_Output())
        dag.edge("C", "n2", Carries_Output())


class Handlers:
    """Only the kinds of handlers that this flow has. `exports.Handlers` lists all kinds."""

    def modify(self, handler: str, data: bytes) -> bytes:
        return find(MODIFIERS, handler)(data)

    def aggregate(self, handler: str, inputs: Named) -> bytes:
        return find(AGGREGATORS, handler)(inputs)

    def condition(self, handler: str, data: bytes) -> list[str]:
        return find(CONDITIONS, handler)(data)

    def for_each(self, handler: str, data: bytes) -> Named:
        return find(FOR_EACHES, handler)(data)


def find(handlers: dict, handler: str):
    if handler not in handlers:
        raise Err(Failure_Reject(f"the flow has no handler `{handler}`"))
    return handlers[handler]


def append(suffix: bytes):
    return lambda data: data + suffix


def join(inputs: Named) -> bytes:
    return b", ".join(key.encode() + b"=" + data for key, data in inputs)


# The flow's handlers, by kind and by the ids that the definition uses.
MODIFIERS = {
    "n1/0": append(b" n1"),
    "C[c1]/F[]/n1/0": append(b" F/n1"),
    "C[c2]/n1/1": append(b" c2/n1"),
}
AGGREGATORS = {
    "C/aggregate-branches": join,
    "C[c1]/F/aggregate-branches": join,
}
CONDITIONS = {
    "C/condition": lambda data: ["c1", "c2"],
}
FOR_EACHES = {
    "C[c1]/F/for-each": lambda data: [(key, data) for key in ("f1", "f2")],
}
