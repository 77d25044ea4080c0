"""Write flows in Python.

A flow composes [OpenFaaS](https://www.openfaas.com) functions into a graph: its nodes call functions, call URLs or run the
flow's own code, and it branches, processes collections in parallel, and merges the results. This package compiles a flow to a
WebAssembly component, which the `faas-flow` host runs on a laptop or as an OpenFaaS function.

# A whole flow

A flow is a function `define` in `flow.py` that describes a dag, together with the functions that the dag names:

```python
from faas_flow import Backoff, Context, Inputs, Outcome, Workflow

def define(workflow: Workflow, context: Context) -> None:
    dag = workflow.dag
    dag.node("clean").modify(lambda text: text.strip().lower())
    dag.node("count").apply("wc").retry(Backoff(3)).timeout(5)
    dag.node("shout").modify(lambda text: text.upper())
    dag.node("report").aggregator(report)
    dag.edge("clean", "count")
    dag.edge("clean", "shout")
    dag.edge("count", "report")
    dag.edge("shout", "report")

    @workflow.finally_
    def ended(outcome: Outcome) -> None:
        context.info(f"run {context.request_id} ended: {outcome.value}")

def report(inputs: Inputs) -> str:
    return f"{inputs.text('shout')}! ({inputs.text('count').strip()} words)"
```

`componentize-py --world full-flow componentize faas_flow.app --output flow.wasm`, in the folder with `flow.py`, makes the
module, and `faas-flow run`, `faas-flow serve` or an image runs it. In a test, the flow's functions run natively: see
`faas_flow.testing`.

# How the builder works

What the methods of the builder return can be kept and used in any order. The host checks the whole definition when it loads
the module, and reports every problem at once; `faas-flow check` does the same on the command line.

Functions get bytes, and return bytes or text; `Node.modify_json` does the conversion from and to JSON. A function fails with
`Reject` or `Retry`; any other exception is a rejection, whose text is Python's message with the file and line.

A function must not rely on what an earlier call left in memory: the next node of the same run may be executed by another
instance of the module, possibly on another machine. Keep values in the `Context` instead. `define` and everything at the top
of a file run once, when the module is built, and the module begins with what they left.

# What a flow's code does not have

| what | what happens instead |
|---|---|
| files, network, processes | exceptions, or a crash. Effects belong in functions, which a node calls with `apply` or `request` |
| clock | stands still at the moment at which the run began; sleeping takes no time |
| random numbers | follow from the run and the node. The module `random` begins with the same state in every run |
| threads | `RuntimeError` |
| `async` functions | refused where they are given to the builder: there is no event loop |
| an `import` inside a function | works for what was imported when the module was built, and raises `ModuleNotFoundError` otherwise |
| packages with compiled code | none, unless they have a version in pure Python |
| `print` and standard error | are lines of the log, with the levels `INFO` and `WARN` |

# Handler ids

The host knows each function by an id, which follows from the function's position. Flows in other languages that choose the
same ids have the same definition.

| function | id |
|---|---|
| `modify`, `sleep_until` or `wait_for_named`, as operation 1 (the second) of node `n2` | `n2/1` |
| `prepare`, `receive`, `recover` of the call that is operation 0 of `n2` | `n2/0/prepare`, `n2/0/receive`, `n2/0/recover` |
| aggregator of the inputs of a node of any kind | `n4/aggregate` |
| forwarder of the edge from `n1` to `n2` | `n1->n2/forward` |
| the function that chooses the branches of condition `C` | `C/condition` |
| the function that splits the input of for-each `F` | `F/for-each` |
| the function that says whether repeat `R` runs again | `R/again` |
| aggregator of the results of the branches of `C` or `F` | `C/aggregate-branches`, `F/aggregate-branches` |
| aggregator of a dag's ends | `(end)/aggregate` |
| `recover_from` of the call, or of the wait for a signal, that is operation 0 of `n2`, of node `n2`, of a dag | `n2/0/recover-from`, `n2/recover`, `(recover)` |
| the function that gathers the items of for-each `F` | `F/gather` |
| the key of the limit of the call that is operation 0 of `n2`, of node `n2` | `n2/0/limit-key`, `n2/limit-key` |
| the flow's failure handler, its finally handler | `(failure)`, `(finally)` |

Inside a nested dag, the id starts with a prefix: `S/` in sub-dag `S`, `C[c1]/` in branch `c1` of condition `C`, `F[]/` in the
dag of for-each `F`, `R[]/` in the dag of repeat `R`. Prefixes add up: `C[c1]/F[]/n1/0` is in a for-each in a branch. Branch
keys are percent-encoded except for `A-Z a-z 0-9 _ . -`. The handlers are declared to the host in the order of their bytes.
"""

from ._branches import Condition, ForEach, Items, Repeat
from ._check import Time
from ._context import Context
from ._dag import Dag, Edge, Workflow
from ._failure import Failed, Failure, FailureKind, Gathered, Reject, Retry
from ._http import Request, Response
from ._inputs import Inputs
from ._limit import Limit, Schedule
from ._node import Call, Data, Node, Operations, SignalWait
from ._values import Backoff, Exhausted, Level, Missed, Outcome, Overlap, State, Wake

__all__ = [
    "Backoff",
    "Call",
    "Condition",
    "Context",
    "Dag",
    "Data",
    "Edge",
    "Exhausted",
    "Failed",
    "Failure",
    "FailureKind",
    "ForEach",
    "Gathered",
    "Inputs",
    "Items",
    "Level",
    "Limit",
    "Missed",
    "Node",
    "Operations",
    "Outcome",
    "Overlap",
    "Reject",
    "Repeat",
    "Request",
    "Response",
    "Retry",
    "Schedule",
    "SignalWait",
    "State",
    "Time",
    "Wake",
    "Workflow",
]
