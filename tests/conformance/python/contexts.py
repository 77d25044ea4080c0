"""Each function of the context."""

from typing import Any

from faas_flow import Context, Dag, Inputs, Level, Workflow
from parts import Case, join


def cut(url: str) -> str:
    """An address without what is signed in it."""
    return url.split("?")[0]


def facts(dag: Dag, workflow: Workflow, context: Context) -> None:
    def shown(data: bytes) -> str:
        run = f"{context.request_id} {context.flow_name} {context.node} {context.state.value}"
        query = f"{','.join(context.query('a b'))} {len(context.query('none'))}"
        return f"{run} query {query} header {','.join(context.header('x-team'))} {len(context.header('authorization'))}"

    dag.node("n").modify(shown)


def facts_in_define(dag: Dag, workflow: Workflow, context: Context) -> None:
    # The definition itself depends on the request.
    dag.node("".join(context.query("id"))).sleep(int("".join(context.header("x-times"))))


def values(dag: Dag, workflow: Workflow, context: Context) -> None:
    def set(data: bytes) -> bytes:
        context.set_bytes("kept", data)
        context.set_bytes("empty", "")
        context.set_bytes("dropped", data)
        return context.get_bytes("kept") or b""

    def drop(data: bytes) -> bytes:
        context.delete("dropped")
        context.delete("never")
        return data

    def get(data: bytes) -> str:
        found = [context.get_bytes(key) for key in ("kept", "empty", "dropped", "never")]
        return " ".join("none" if value is None else f"<{value.decode()}>" for value in found)

    dag.node("set").modify(set)
    dag.node("drop").modify(drop)
    dag.node("get").modify(get)
    dag.edge("set", "drop")
    dag.edge("drop", "get")


def json(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify_json(sum)
    dag.node("m").modify(lambda data: f"{data.decode()} as {context.content_type}")
    dag.edge("n", "m")


def inputs(dag: Dag, workflow: Workflow, context: Context) -> None:
    def add(side: str, data: bytes) -> bytes:
        context.set_content_type(f"text/{side}")
        return data + side.encode()

    def last(data: bytes) -> str:
        return f"{len(data)} bytes, {join(context.inputs).decode()}, {', '.join(context.content_types)}"

    dag.node("first")
    for side in ("left", "right"):
        dag.node(side).modify(lambda data, side=side: add(side, data))  # type: ignore[misc]
        dag.edge("first", side)
        dag.edge(side, "last")
    dag.edge("first", "last")
    dag.node("last").modify(last)


def content_types(dag: Dag, workflow: Workflow, context: Context) -> None:
    def begin(data: bytes) -> str:
        context.set_content_type("text/html; charset=utf-8")
        return context.content_type

    def merge(inputs: Inputs) -> str:
        context.set_content_type("text/csv")
        return f"{inputs.concat().decode()}|{context.content_type}|{', '.join(context.content_types)}"

    dag.node("n").modify(begin)
    dag.node("m").aggregator(merge)
    dag.node("last").modify(lambda data: f"{data.decode()}|{context.content_type}")
    dag.edge("n", "m")
    dag.edge("m", "last")


def respond(dag: Dag, workflow: Workflow, context: Context) -> None:
    def answer(data: bytes) -> bytes:
        context.respond(201, {"Location": "/orders/7", "X-Order": "7"})
        return data

    dag.node("n").modify(answer)


def labels(dag: Dag, workflow: Workflow, context: Context) -> None:
    def label(data: bytes) -> bytes:
        context.label("order", "41")
        context.label("order", data.decode())
        context.label("by/n", "ü")
        return data

    dag.node("n").modify(label)


def signal_url(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(lambda _: f"{cut(context.signal_url('approval'))} {cut(context.signal_url('paid', 3600))}")


def log(dag: Dag, workflow: Workflow, context: Context) -> None:
    def logged(data: bytes) -> bytes:
        for level in (Level.DEBUG, Level.INFO, Level.WARN, Level.ERROR):
            context.log(level, f"{level.value} {data.decode()}")
        return data

    dag.node("n").modify(logged)


def refused(call: Any) -> Case:
    """A node that makes a call of the context, which the host refuses."""

    def define(dag: Dag, workflow: Workflow, context: Context) -> None:
        dag.node("n").modify(lambda data: call(context) or data)

    return define


CASES: dict[str, Case] = {
    "facts": facts,
    "facts-in-define": facts_in_define,
    "values": values,
    "json": json,
    "inputs": inputs,
    "content-types": content_types,
    "respond": respond,
    "labels": labels,
    "signal-url": signal_url,
    "log": log,
    "refused-content-type": refused(lambda context: context.set_content_type("text")),
    "refused-answer": refused(lambda context: context.respond(99)),
    "refused-label": refused(lambda context: context.label("no key", "")),
    "refused-value": refused(lambda context: context.set_bytes("", "")),
    "refused-signal": refused(lambda context: context.signal_url("no name")),
}
