"""The conformance flow in Python: the query parameter `case` selects a case. The flows in the other languages have the same
cases, in files of the same names."""

from calls import CASES as CALLS
from constructs import CASES as CONSTRUCTS
from contexts import CASES as CONTEXTS
from data import CASES as DATA
from failures import CASES as FAILURES
from faas_flow import Context, Reject, Workflow

CASES = CONSTRUCTS | CALLS | CONTEXTS | FAILURES | DATA


def define(workflow: Workflow, context: Context) -> None:
    """Describes the case that the request selects."""
    name = "".join(context.query("case"))
    if not name:
        # The host asks for a definition without a request when it loads the module.
        workflow.dag.node("n")
        return
    if name not in CASES:
        raise Reject(f"there is no case `{name}`")
    CASES[name](workflow.dag, workflow, context)
