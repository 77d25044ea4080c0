"""Tests of a flow without WebAssembly.

`run` runs a whole flow, with functions of the test in place of those that it calls. `Flow` calls the flow's functions one by
one, by their handler ids (`faas_flow` says how they are formed). `Fake` is the context that they see.

```python
from faas_flow.testing import Fake, Flow, run
from flow import define

def test_greets_by_name() -> None:
    assert Flow(define).modify("greet/0", "Adam") == b"Hello, Adam!"

def test_an_order_that_cannot_be_paid_is_declined() -> None:
    order = run(define, '{"id": 7}').function("charge", Response(402))
    assert order.result() == b"declined"
```

Any test runner will do: `pytest`, or `python -m unittest`. An exception leaves a function as it was raised, so that the runner
shows all of it; only in a whole run it becomes a failure, as in the host.
"""

from ._call import Answer, Call
from ._fake import Fake
from ._flow import Flow
from ._run import Run, RunFailed, run

__all__ = ["Answer", "Call", "Fake", "Flow", "Run", "RunFailed", "run"]
