"""What `componentize-py componentize faas_flow.app` makes a module of: the flow in `flow.py`.

It has no other use. `faas_flow.component` says what to do if `define` is somewhere else.
"""

from __future__ import annotations

from importlib import import_module

from faas_flow.component import *  # noqa: F403
from faas_flow.component import use


def _define_of_flow() -> None:
    try:
        flow = import_module("flow")
    except ModuleNotFoundError as error:
        if error.name != "flow":
            raise
        raise ModuleNotFoundError(
            "there is no flow.py: write it, with a function `define(workflow, context)`, in the folder in which the module "
            "is built, or name its folder with `--python-path`"
        ) from None
    try:
        use(flow.define)
    except AttributeError:
        if hasattr(flow, "define"):
            raise
        raise AttributeError(f"{flow.__file__} has no function `define(workflow, context)`") from None


_define_of_flow()
