"""A flow with one node, which runs the flow's own code. Call functions with `apply`, and connect nodes with `edge`.

The repository of faas-flow explains the concepts in docs/concepts.md, and has larger flows in examples/.
"""

from faas_flow import Context, Reject, Workflow


def define(workflow: Workflow, context: Context) -> None:
    """Describes the flow."""
    workflow.dag.node("greet").modify(greet)


def greet(data: bytes) -> str:
    name = data.decode().strip()
    if not name:
        raise Reject("there is no name to greet: send one as the body")
    return f"Hello, {name}!"
