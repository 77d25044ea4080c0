"""A flow of one node: what the body says, the node does. It shows what Python gets from the host through WASI."""

import os
import sys
import time
from datetime import UTC, datetime

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports.builder import Workflow
from wit_world.imports.types import Failure_Reject


class Definition(exports.Definition):
    def define(self, flow: Workflow) -> None:
        flow.handlers(["act"])
        flow.dag().node("act").modify("act")


class Handlers:
    def modify(self, handler: str, data: bytes) -> bytes:
        what, _, rest = data.decode().partition(" ")
        return act(what, rest).encode()


def act(what: str, rest: str) -> str:
    match what:
        case "now":
            return datetime.now(UTC).isoformat(timespec="milliseconds")
        case "sleep":
            start, measured = time.time(), time.monotonic()
            time.sleep(5400)
            return f"{time.time() - start:.0f} {time.monotonic() - measured:.0f}"
        case "random":
            return os.urandom(16).hex()
        case "print":
            print(rest)
            print("to stderr: " + rest, file=sys.stderr)
            return "printed"
        case "crash":
            return price(None)
        case "read":
            try:
                return open(rest).read()
            except OSError as error:
                return str(error)
        case _:
            raise Err(Failure_Reject(f"there is no {what}"))


def price(order) -> str:
    return str(order.amount)
