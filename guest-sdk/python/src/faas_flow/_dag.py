"""Dags, their edges, and the whole flow."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from . import _check
from ._branches import Condition, ForEach, Items, Repeat
from ._check import Time
from ._failure import Failed
from ._inputs import Inputs
from ._limit import Schedule
from ._node import Data, Node
from ._values import Exhausted, Outcome


class Dag:
    """Nodes, and the edges between them.

    A dag has one start (a node without incoming edges) and no cycles. Its result is the output of its end (the node without
    outgoing edges). A dag with several ends yields nothing, unless `end_aggregator` merges their outputs.

    `Workflow.dag` is the outermost one. `Dag()` makes one without nodes, to be used as a sub-dag, as a part of another dag, or
    as the whole flow.

    ```python
    dag.node("split").apply("split-name")
    dag.node("greet").modify(lambda name: b"Hello, " + name)
    dag.node("face").apply("draw-face")
    dag.node("card").aggregator(lambda inputs: inputs.concat())
    dag.edge("split", "greet")
    dag.edge("split", "face")
    dag.edge("greet", "card")
    dag.edge("face", "card")
    ```
    """

    def __init__(self) -> None:
        self._nodes: list[tuple[str, Node | Dag | Condition | ForEach | Repeat]] = []
        self._edges: list[Edge] = []
        self._input_aggregators: list[tuple[str, Callable[[Inputs], Data]]] = []
        self._end_aggregator: Callable[[Inputs], Data] | None = None
        self._recover_nodes: list[tuple[str, Callable[[Failed], Data]]] = []
        self._recover: Callable[[Failed], Data] | None = None

    def node(self, id: str) -> Node:
        """Adds a node that runs operations one after the other. A node without operations passes its input on.

        The id is unique within this dag: 1 to 64 characters of `A-Z a-z 0-9 _ . -`."""
        node = Node(self, _check.text(id, "the id of a node"))
        self._nodes.append((id, node))
        return node

    def sub_dag(self, id: str, dag: Dag) -> None:
        """Adds a node that runs a whole dag. The start of that dag gets the node's input, and its result is the node's output.
        The same dag may be used for several nodes.

        ```python
        polish = Dag()
        polish.node("resize").apply("resize")
        polish.node("sharpen").apply("sharpen")
        polish.edge("resize", "sharpen")
        workflow.dag.sub_dag("polish", polish)
        ```"""
        dag = _check.instance(dag, Dag, "what `sub_dag` gets")
        self._nodes.append((_check.text(id, "the id of a node"), dag))

    def condition(self, id: str, keys: Iterable[str], choose: Callable[[bytes], Iterable[str]]) -> Condition:
        """Adds a node that runs some of its branches. `choose` gets the node's input and returns the keys of the branches to
        run: at least one, each at most once. See `Condition` for an example."""
        condition = Condition(Dag, keys, _check.function(choose, "what chooses the branches"))
        self._nodes.append((_check.text(id, "the id of a node"), condition))
        return condition

    def for_each(self, id: str, split: Callable[[bytes], Items]) -> ForEach:
        """Adds a node that runs one dag once for each item. `split` gets the node's input and returns the items in order: a
        mapping, or pairs of key and data. Keys have 1 to 128 bytes and are unique. There may be no items. See `ForEach` for an
        example."""
        for_each = ForEach(Dag(), _check.function(split, "what splits the input"))
        self._nodes.append((_check.text(id, "the id of a node"), for_each))
        return for_each

    def repeat(self, id: str, again: Callable[[bytes, int], bool]) -> Repeat:
        """Adds a node that runs a dag again on its own result while `again` says so. `again` gets the result of each round and
        its number, from 1, and returns whether there is another one. See `Repeat` for an example."""
        repeat = Repeat(Dag(), _check.function(again, "what says whether there is another round"))
        self._nodes.append((_check.text(id, "the id of a node"), repeat))
        return repeat

    def edge(self, from_: str, to: str) -> Edge:
        """Adds an edge: `to` runs after `from_`, and gets its output unless the `Edge` says otherwise. The two nodes may be
        added before or after the edge."""
        edge = Edge(_check.text(from_, "the first node of an edge"), _check.text(to, "the second node of an edge"))
        self._edges.append(edge)
        return edge

    def input_aggregator(self, node: str, aggregator: Callable[[Inputs], Data]) -> None:
        """Merges the inputs of any node of this dag, named by predecessor in the order of the edges. `Node.aggregator` is the
        short form for nodes that run operations.

        Without an aggregator, a node with one incoming data edge gets what that edge carries. A node with several gets empty
        data, and finds its inputs in `Context.inputs`."""
        aggregator = _check.function(aggregator, "the aggregator")
        self._input_aggregators.append((_check.text(node, "the id of a node"), aggregator))

    def end_aggregator(self, aggregator: Callable[[Inputs], Data]) -> None:
        """Merges the outputs of this dag's ends into its result, named by node id in the order of their declaration."""
        self._end_aggregator = _check.function(aggregator, "the aggregator")

    def recover_node(self, node: str, recover: Callable[[Failed], Data]) -> None:
        """Catches the failure of a node of any kind, or of what is inside it, after all its retries. What the function returns
        is the node's output. If it fails, so does the node. `Node.recover_from` is the short form for nodes that run
        operations.

        What the node had begun is cancelled: calls in flight are cut off, and runs that were called are stopped."""
        recover = _check.function(recover, "what `recover_node` gets")
        self._recover_nodes.append((_check.text(node, "the id of a node"), recover))

    def recover_from(self, recover: Callable[[Failed], Data]) -> None:
        """Catches failures in this dag that were not caught further inside. The dag may be the outermost one, a sub-dag, a
        branch of a condition or that of a for-each. What the function returns is the result of the dag. If it fails, so does
        the dag.

        ```python
        def declined(failed: Failed) -> str:
            if failed.status == 402:
                return "the card was declined"
            raise Reject(str(failed))

        dag.recover_from(declined)
        ```"""
        self._recover = _check.function(recover, "what `recover_from` gets")

    def append(self, other: Dag) -> None:
        """Copies the nodes, edges, input aggregators and recover functions of nodes that another dag has now into this one.
        What is added to the other dag later is not copied."""
        self._nodes += other._nodes
        self._edges += other._edges
        self._input_aggregators += other._input_aggregators
        self._recover_nodes += other._recover_nodes

    def __repr__(self) -> str:
        return f"Dag(nodes={[id for id, _ in self._nodes]!r})"


class Edge:
    """An edge between two nodes, made by `Dag.edge`. By default it carries the output of the first node to the second.

    ```python
    dag.edge("fetch", "print").forwarder(lambda data: data.upper())
    dag.edge("print", "notify").execution()
    ```
    """

    def __init__(self, from_: str, to: str) -> None:
        """Flows call `Dag.edge` instead."""
        self._from = from_
        self._to = to
        self._nothing = False
        self._forwarder: Callable[[bytes], Data] | None = None

    def execution(self) -> Edge:
        """Makes the edge carry nothing: it only orders the two nodes."""
        self._nothing, self._forwarder = True, None
        return self

    def forwarder(self, forward: Callable[[bytes], Data]) -> Edge:
        """Rewrites the data that the edge carries."""
        self._nothing, self._forwarder = False, _check.function(forward, "the forwarder")
        return self


class Workflow:
    """The flow that `define` describes: its outermost dag, and what applies to a run as a whole."""

    def __init__(self) -> None:
        self._dag = Dag()
        self._on_failure: Callable[[str], Data] | None = None
        self._finally: Callable[[Outcome], None] | None = None
        self._deadline_ms: int | None = None
        self._on_exhausted = Exhausted.FAIL
        self._schedules: list[Schedule] = []

    @property
    def dag(self) -> Dag:
        """The outermost dag. Its start gets the body of the request, and its result is the run's. Another one may be
        assigned."""
        return self._dag

    @dag.setter
    def dag(self, dag: Dag) -> None:
        self._dag = _check.instance(dag, Dag, "the outermost dag")

    def sync_node(self) -> Node:
        """Adds the only node of a flow that has just one, with the id `sync`. The caller of such a flow gets its result as the
        answer to the request."""
        return self._dag.node("sync")

    def on_failure(self, recover: Callable[[str], Data]) -> Callable[[str], Data]:
        """Sets the failure handler, which is called once when the run has failed. It gets the failure's message. The run stays
        failed: what the function returns replaces the message in the caller's answer.

        It returns the function, so it can be used as a decorator, and so can `finally_`."""
        self._on_failure = _check.function(recover, "what `on_failure` gets")
        return recover

    def finally_(self, run: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
        """Sets the finally handler, which is called once at the end of every run, however it ended, and after `on_failure`. If
        it fails, the run's outcome does not change.

        ```python
        @workflow.finally_
        def ended(outcome: Outcome) -> None:
            context.info(f"run {context.request_id} ended: {outcome.value}")
        ```"""
        self._finally = _check.function(run, "what `finally_` gets")
        return run

    def deadline(self, time: Time) -> None:
        """Limits the time from the start of a run to its end: seconds, or a `timedelta`, at least 1 ms. A run that takes longer
        fails."""
        self._deadline_ms = _check.millis(time, "the deadline")

    def on_exhausted(self, then: Exhausted) -> None:
        """Sets what happens when a node has failed and its retries are exhausted."""
        self._on_exhausted = Exhausted(then)

    def schedule(self, name: str, when: str) -> Schedule:
        """Adds a schedule, which begins a run at each of its moments: exactly one, on whichever replica. See `Schedule` for an
        example.

        The name has 1 to 32 characters of `A-Z a-z 0-9 _ -` and is unique within the flow. `when` is a cron expression of five
        fields, or of six, of which the first is the second; a nickname such as `@daily`; or an interval such as
        `every 10m`."""
        schedule = Schedule(name, when)
        self._schedules.append(schedule)
        return schedule
