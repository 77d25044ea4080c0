"""Calls of functions and URLs: their options, what goes out and comes back, retries, and failures that are caught."""

from faas_flow import Backoff, Context, Dag, Failed, Gathered, Reject, Request, Response, Retry, Workflow
from parts import Case, add, always, join, picky, refuse, shown, words

THRICE = Backoff(3, first_delay=10, factor=1.5, max_delay=12)


def failing() -> Dag:
    inner = Dag()
    inner.node("a").modify(add(" a"))
    inner.node("b").modify(refuse)
    inner.edge("a", "b")
    return inner


def prepared(request: Request) -> Request:
    method = "PUT" if request.method == "POST" else "POST"
    body = request.body + (request.header("x-kept") or "").encode() + b" prepared"
    changed = request.with_method(method).with_url(request.url + "/further?q=1").with_body(body)
    return changed.with_header("X-Added", "3").without_header("x-gone")


def received(response: Response) -> str:
    """A response with the status 202 is not the last one, and every other one is."""
    if response.status == 202:
        raise Retry("not yet")
    return f"{response.status} {response.header('X-Answer') or 'none'}: {response.body.decode()}"


def gathered(items: list[Gathered]) -> str:
    def line(item: Gathered) -> str:
        if isinstance(item.ended, Failed):
            return f"{item.key}: {item.ended.code} {item.ended.message}"
        return f"{item.key}={item.ended.decode()}"

    return "; ".join(map(line, items))


def otherwise(failed: Failed) -> bytes:
    raise Reject("even worse")


def call_options(dag: Dag, workflow: Workflow, context: Context) -> None:
    call = dag.node("n").apply("env/deeper/path").method("PUT").query("q", "a b&c").query("q", "2")
    call.header("X-One", "1").header("X-Two", "caf\u00e9")


def request(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").request("https://rates.example.com/today").method("PATCH").timeout(30)


def prepare(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").apply("env").header("X-Gone", "1").header("X-Kept", "2").prepare(prepared)


def asynchronous(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").apply("train").asynchronous().timeout(7200).modify(add("!"))


def recover(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").apply("step").recover(lambda failure: f"instead of: {failure}")


def node_retry(dag: Dag, workflow: Workflow, context: Context) -> None:
    node = dag.node("n").modify(add(" once"))
    node.apply("step")
    node.retry(THRICE).timeout(60)


def node_timeout(dag: Dag, workflow: Workflow, context: Context) -> None:
    node = dag.node("n")
    node.apply("step")
    node.timeout(5)


def recover_node(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.sub_dag("S", failing())
    dag.recover_node("S", shown)
    dag.node("after").modify(add(" after"))
    dag.edge("S", "after")


def recover_dag(dag: Dag, workflow: Workflow, context: Context) -> None:
    inner = failing()
    inner.recover_from(shown)
    dag.sub_dag("S", inner)


def recover_flow(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("n").modify(refuse)
    dag.recover_from(shown)


def recover_branch_and_items(dag: Dag, workflow: Workflow, context: Context) -> None:
    way = dag.condition("C", ["a", "b"], always("a", "b")).aggregator(join)
    way.branch("a").node("n").modify(refuse)
    way.branch("a").recover_from(lambda failed: f"caught at {failed.path}")
    items = way.branch("b").for_each("F", words).aggregator(join)
    items.dag.node("n").modify(picky)
    items.dag.recover_from(lambda failed: b"instead of " + failed.input)


def tolerate_too_many(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.for_each("F", words).tolerate(1).gather(gathered).dag.node("n").modify(picky)
    dag.recover_node("F", lambda failed: f"{failed.kind.value} at {failed.path}")


CASES: dict[str, Case] = {
    "call": lambda dag, workflow, context: dag.node("n").apply("step"),
    "call-options": call_options,
    "request": request,
    "prepare": prepare,
    "receive": lambda dag, workflow, context: dag.node("n").apply("step").receive(received).retry(THRICE),
    "retry": lambda dag, workflow, context: dag.node("n").apply("step").retry(THRICE),
    "retry-on": lambda dag, workflow, context: dag.node("n").apply("step").retry(THRICE).retry_on([404, 409]),
    "timeout": lambda dag, workflow, context: dag.node("n").apply("step").timeout(2),
    "asynchronous": asynchronous,
    "recover": recover,
    "recover-from": lambda dag, workflow, context: dag.node("n").apply("step").retry(THRICE).recover_from(shown),
    "recover-from-unreachable": lambda dag, workflow, context: dag.node("n").apply("step").recover_from(shown),
    "recover-otherwise": lambda dag, workflow, context: dag.node("n").apply("step").recover_from(otherwise),
    "node-retry": node_retry,
    "node-timeout": node_timeout,
    "node-recover": lambda dag, workflow, context: dag.node("n").modify(refuse).recover_from(shown),
    "recover-node": recover_node,
    "recover-dag": recover_dag,
    "recover-flow": recover_flow,
    "recover-branch-and-items": recover_branch_and_items,
    "tolerate": lambda dag, _, __: dag.for_each("F", words).aggregator(join).tolerate(1).dag.node("n").modify(picky),
    "tolerate-share": lambda dag, _, __: (
        dag.for_each("F", words).tolerate_share(0.5).gather(gathered).dag.node("n").modify(picky)
    ),
    "tolerate-too-many": tolerate_too_many,
}
