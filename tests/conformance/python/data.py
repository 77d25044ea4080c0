"""What data may be: unicode, all bytes, nothing, much, and many."""

from faas_flow import Context, Dag, Workflow
from parts import Case, add, always, itself, join, words


def digest(data: bytes) -> str:
    """How many bytes there are, and the FNV-1a hash of about a thousand of them."""
    value = 0x811C9DC5
    for byte in data[:: len(data) // 1000 + 1]:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{len(data)} {value:08x}"


def through_all(dag: Dag, workflow: Workflow, context: Context) -> None:
    """Data goes through a call, a value, an item, an edge and an aggregator."""

    def set(data: bytes) -> str:
        context.set_bytes("value", data)
        return "none"

    dag.node("call").apply("echo").receive(lambda response: response.body)
    dag.node("set").modify(set)
    items = dag.for_each("F", lambda _: {"only": context.get_bytes("value") or b""})
    items.aggregator(lambda results: results.concat()).dag.node("n").modify(lambda data: data)
    dag.node("forwarded").modify(digest)
    dag.edge("call", "set")
    dag.edge("set", "F")
    dag.edge("F", "forwarded").forwarder(lambda data: data[::-1])


def unicode(dag: Dag, workflow: Workflow, context: Context) -> None:
    def set(data: bytes) -> str:
        context.set_bytes("ü 😀", data)
        context.info("logged: ü 😀")
        return ""

    dag.node("n").modify(add(" ü 😀 e\u0301 \ufffd")).apply("echo").modify(set)
    dag.node("m").modify(lambda _: context.get_bytes("ü 😀") or b"")
    dag.edge("n", "m")


def unicode_keys(dag: Dag, workflow: Workflow, context: Context) -> None:
    keys = ["ü", "😀", "a/b %[]", "plain"]
    ways = dag.condition("C", keys, itself)
    for key in keys:
        ways.branch(key).node("n").modify(lambda data: f"{data.decode()} {context.node}")


def unicode_items(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.for_each("F", words).aggregator(join).dag.node("n").modify(lambda _: context.node)


def long_ids(dag: Dag, workflow: Workflow, context: Context) -> None:
    # The ids of functions would be longer than they may be.
    node, key = "n" * 64, "ü" * 64
    way = dag.condition(node, [key], always(key)).aggregator(join).branch(key)
    way.node(node).apply("echo").receive(lambda response: response.body).modify(add(" n"))


def large(dag: Dag, workflow: Workflow, context: Context) -> None:
    dag.node("make").modify(lambda data: data * (16 * 1024 * 1024 // max(len(data), 1)))
    dag.node("call").apply("echo").modify(add("!"))
    dag.node("sum").modify(digest)
    dag.edge("make", "call")
    dag.edge("call", "sum")


def thousand_items(dag: Dag, workflow: Workflow, context: Context) -> None:
    items = dag.for_each("F", lambda _: [(f"k{n}", str(n)) for n in range(1000)])
    items.aggregator(lambda results: digest(join(results))).dag.node("n").modify(add("!"))


def deep(dag: Dag, workflow: Workflow, context: Context) -> None:
    for _ in range(28):
        inner = Dag()
        dag.sub_dag("S", inner)
        dag = inner
    dag.node("n").modify(lambda data: f"{data.decode()} {len(context.node)}")


def long_chain(dag: Dag, workflow: Workflow, context: Context) -> None:
    for n in range(100):
        dag.node(f"n{n}").modify(add("."))
    for n in range(99):
        dag.edge(f"n{n}", f"n{n + 1}")


CASES: dict[str, Case] = {
    "unicode": unicode,
    "unicode-keys": unicode_keys,
    "unicode-items": unicode_items,
    "long-ids": long_ids,
    "binary": through_all,
    "empty": through_all,
    "large": large,
    "thousand-items": thousand_items,
    "deep": deep,
    "long-chain": long_chain,
}
