"""The flow of the end-to-end tests of the SDK for Python: every construct at once, or one mistake, which the query names."""

import json
import sys
import threading
import warnings
from datetime import timedelta
from typing import Any

from faas_flow import Backoff, Context, Dag, Failed, Gathered, Inputs, Limit, Missed, Outcome, Overlap, Reject, Request
from faas_flow import Response, Retry, Wake, Workflow


def define(workflow: Workflow, context: Context) -> None:
    """Describes the flow that the query asks for."""
    case = "".join(context.query("case"))
    if case == "in-define":
        workflow.dag.nod("n")  # type: ignore[attr-defined]
    if case == "exit-in-define":
        sys.exit("no definition")
    if case:
        workflow.sync_node().modify(MISTAKES[case])
    else:
        everything(workflow, context)


def everything(workflow: Workflow, context: Context) -> None:
    """Every construct, with the operations in an order in which all of them happen."""
    dag = workflow.dag
    limit = Limit("calls", concurrent=5, per_second=1000, key=bytes.decode)

    def begin(order: Any) -> Any:
        context.set("order", order)
        context.label("order", str(order["id"]))
        return {"id": order["id"], "path": context.node}

    call = dag.node("call").retry(Backoff(2)).timeout(30).limit(Limit("nodes", concurrent=3)).modify_json(begin).apply("echo")
    call.method("POST").header("x-a", "1").query("q", "a b").timeout(10).retry(Backoff(3, first_delay=0.01)).retry_on([503])
    call.limit(limit).prepare(prepared).receive(received)
    call.apply("missing").recover(lambda failure: "recovered").apply("missing").recover_from(kind)

    node = dag.node("wait").sleep(0.01).sleep_until(lambda data: Wake.after(timedelta(milliseconds=5)))
    wait = node.wait_for("never").timeout(0.01).recover_from(kind)
    wait.wait_for_named(lambda data: "never-" + data.decode()).timeout(0.01).recover_from(lambda failed: failed.input)
    dag.edge("call", "wait").forwarder(lambda data: data[:2])

    inner = Dag()
    inner.node("start").modify(lambda data: data.upper())
    inner.node("left").modify(lambda data: data + b"l")
    inner.node("right").modify(refuse).recover_from(lambda failed: failed.message)
    inner.edge("start", "left")
    inner.edge("start", "right")
    inner.end_aggregator(joined)
    dag.sub_dag("S", inner)
    dag.edge("wait", "S")

    choice = dag.condition("C", ["a/b", "c"], lambda data: ["c", "a/b"]).aggregator(joined).max_parallel(1)
    choice.branch("a/b").node("n").modify(lambda data: context.node)
    choice.branch("c").node("n").modify(refuse)
    choice.branch("c").recover_from(lambda failed: f"caught {failed.kind.value} at {failed.path}")
    dag.input_aggregator("C", lambda inputs: inputs.concat())
    dag.edge("S", "C")

    items = dag.for_each("F", lambda data: [(key, key) for key in ("x", "y", "z")]).tolerate_share(0.4).gather(gathered)
    items.dag.node("n").modify(lambda data: refuse(data) if data == b"y" else data)
    dag.edge("C", "F").execution()

    rounds = dag.repeat("R", lambda data, round: round < 3).most(5).wait(0.01)
    rounds.dag.node("n").modify(lambda data: data + b"+")
    dag.edge("F", "R")

    dag.node("refuse").modify(refuse)
    dag.recover_node("refuse", lambda failed: failed.input)
    dag.edge("R", "refuse")

    nothing = dag.for_each("N", lambda data: {"only": data}).execution()
    nothing.dag.node("n")
    dag.edge("refuse", "N")

    def end(inputs: Inputs) -> str:
        context.respond(201, {"X-Order": str(context.get("order")["id"])})
        return "|".join(f"{name}={value.decode()}" for name, value in inputs.items())

    dag.node("end").aggregator(end)
    for last in ("call", "wait", "S", "C", "F", "refuse", "N"):
        dag.edge(last, "end")

    @workflow.finally_
    def ended(outcome: Outcome) -> None:
        print("ended:", outcome.value)

    workflow.on_failure(lambda failure: f"sorry: {failure}")
    workflow.deadline(timedelta(minutes=5))
    nightly = workflow.schedule("nightly", "0 30 2 * * *").time_zone("Europe/Berlin").missed(Missed.ONE)
    nightly.overlap(Overlap.QUEUE).input(b"\xff")


def prepared(request: Request) -> Request:
    return request.with_header("x-b", "2").with_body(request.body + b"!")


def received(response: Response) -> str:
    return f"{response.status}:{response.body.decode()}"


def kind(failed: Failed) -> str:
    return failed.kind.value


def gathered(items: list[Gathered]) -> str:
    return ",".join(f"{item.key}:{item.failed.kind.value if item.failed else 'ok'}" for item in items)


def joined(inputs: Inputs) -> str:
    return ",".join(f"{name}={value.decode()}" for name, value in inputs.items())


def refuse(data: bytes) -> bytes:
    raise Reject("refused")


ROWS: dict[bytes, str] = {}


def raises(data: bytes) -> str:
    return ROWS[data]


def exits(data: bytes) -> str:
    sys.exit("stop")


def misspells(data: bytes) -> str:
    return date.decode()  # type: ignore[name-defined,no-any-return]  # noqa: F821


def recurses(data: bytes) -> bytes:
    return recurses(data) + b"."


def nests(data: bytes) -> str:
    return str(json.loads("[" * 100_000))


def imports_late(data: bytes) -> str:
    import xml.dom.minidom

    return xml.dom.minidom.__name__


def prints(data: bytes) -> str:
    print("printed:", data.decode())
    print("half a line", end="")
    print("to standard error", file=sys.stderr)
    warnings.warn("a warning")
    return "printed"


def reads(data: bytes) -> str:
    return input()


def begins_thread(data: bytes) -> str:
    threading.Thread(target=print).start()
    return "begun"


async def late(data: bytes) -> bytes:
    return data


def allocates(data: bytes) -> bytes:
    return b"x" * (1 << 30)


def half_a_character(data: bytes) -> str:
    return "\ud800"


def not_found(data: bytes) -> str:
    raise Reject("no such order", status=404)


def never_ready(data: bytes) -> str:
    raise Retry("not ready")


def wraps(data: bytes) -> str:
    try:
        return raises(data)
    except KeyError as error:
        raise ValueError("no such row") from error


MISTAKES: dict[str, Any] = {
    "raises": raises,
    "exits": exits,
    "misspells": misspells,
    "recurses": recurses,
    "nests": nests,
    "imports-late": imports_late,
    "prints": prints,
    "reads": reads,
    "begins-thread": begins_thread,
    "is-async": lambda data: late(data),
    "returns-none": lambda data: None,
    "takes-nothing": lambda: b"",
    "allocates": allocates,
    "half-a-character": half_a_character,
    "not-found": not_found,
    "never-ready": never_ready,
    "wraps": wraps,
}
