"""Greets by name. The smallest possible flow: one node with one modifier."""

from faas_flow import Context, Reject, Workflow


def define(workflow: Workflow, context: Context) -> None:
    """Describes the flow."""
    workflow.dag.node("greet").modify(greet)


def greet(data: bytes) -> str:
    name = data.decode().strip()
    if not name:
        raise Reject("there is no name to greet: send one as the body")
    return f"Hello, {name}!"
