"""What becomes of a failure of the flow's own code."""

from collections.abc import Callable
from typing import Any

from faas_flow import Backoff, Context, Dag, Limit, Reject, Retry, Workflow
from parts import Case, add, itself, refuse, shown


def forward(dag: Dag, fails: Any) -> None:
    dag.node("first")
    dag.node("n")
    dag.edge("first", "n").forwarder(fails)


def gather(dag: Dag, fails: Any) -> None:
    dag.for_each("n", lambda data: {"x": data}).tolerate(1).gather(fails).dag.node("n").modify(refuse)


# Adds a node of which the function of a kind fails.
KINDS: dict[str, Callable[[Dag, Any], Any]] = {
    "modify": lambda dag, fails: dag.node("n").modify(fails),
    "aggregate": lambda dag, fails: dag.node("n").aggregator(fails),
    "condition": lambda dag, fails: dag.condition("n", ["a"], fails).branch("a").node("n"),
    "for-each": lambda dag, fails: dag.for_each("n", fails).dag.node("n"),
    "forward": forward,
    "prepare": lambda dag, fails: dag.node("n").apply("echo").prepare(fails),
    "receive": lambda dag, fails: dag.node("n").apply("echo").receive(fails),
    "recover": lambda dag, fails: dag.node("n").apply("gone").recover(fails),
    "recover-from": lambda dag, fails: dag.node("n").apply("gone").recover_from(fails),
    "gather": gather,
    "again": lambda dag, fails: dag.repeat("n", fails).dag.node("n"),
    "moment": lambda dag, fails: dag.node("n").sleep_until(fails),
    "signal-name": lambda dag, fails: dag.node("n").wait_for_named(fails),
    "key": lambda dag, fails: dag.node("n").limit(Limit("l", concurrent=1, key=fails)),
}


def crash(data: bytes) -> bytes:
    raise RuntimeError("on purpose")


def no_such_order(data: bytes) -> bytes:
    raise Reject("there is no such order", status=404)


def not_now(data: bytes) -> bytes:
    raise Retry(f"not now: {data.decode()}")


def crash_that_is_caught(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(crash)
    dag.recover_node("n", lambda failed: f"{failed.input.decode()} at {failed.path}")
    dag.node("after").modify(add(" after"))
    dag.edge("n", "after")


def dropped_values(dag: Dag, workflow: Workflow, context: Context) -> None:
    def too_late(data: bytes) -> bytes:
        context.set_bytes("set", "by a node that fails")
        context.label("set", "by a node that fails")
        raise Reject("too late")

    def get(data: bytes) -> str:
        return f"{data.decode()}; {'not set' if context.get_bytes('set') is None else 'set'}"

    dag.node("n").modify(too_late)
    dag.recover_node("n", shown)
    dag.node("get").modify(get)
    dag.edge("n", "get")


def each_kind(dag: Dag, workflow: Workflow, context: Context) -> None:
    def fails(kind: str) -> Any:
        def fail(*_: Any) -> Any:
            raise Reject(f"{kind} fails")

        return fail

    branches = dag.condition("kind", KINDS, itself)
    for kind, add_node in KINDS.items():
        add_node(branches.branch(kind), fails(kind))


CASES: dict[str, Case] = {
    "reject": lambda dag, workflow, context: dag.node("n").modify(refuse),
    "reject-with-status": lambda dag, workflow, context: dag.node("n").modify(no_such_order),
    "retry-of-the-node": lambda dag, _, __: dag.node("n").modify(not_now).retry(Backoff(3, first_delay=10)),
    "retry-without-a-policy": lambda dag, workflow, context: dag.node("n").modify(not_now),
    "crash": lambda dag, workflow, context: dag.node("n").modify(crash),
    "crash-that-is-caught": crash_that_is_caught,
    "dropped-values": dropped_values,
    "each-kind": each_kind,
}
