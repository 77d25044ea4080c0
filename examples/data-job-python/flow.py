"""A job over the log of a web server: what each customer has used, as a table for people."""

import csv
import json
from statistics import median

from humanize import intcomma, naturalsize

from faas_flow import Backoff, Context, Failed, Gathered, Inputs, Reject, Workflow

COLUMNS = ["time", "customer", "path", "status", "bytes", "ms"]


def define(workflow: Workflow, context: Context) -> None:
    """Describes the flow."""
    dag = workflow.dag
    customers = dag.for_each("customers", by_customer)
    customers.tolerate_share(0.5).max_parallel(10)

    one = customers.dag
    one.node("rows")
    one.node("usage").modify_json(usage)
    one.node("name").apply("customer-name").retry(Backoff(3)).timeout(10).recover_from(nameless)
    one.node("line").aggregator(line)
    one.edge("rows", "usage")
    one.edge("rows", "name").forwarder(lambda rows: json.loads(rows)[0]["customer"])
    one.edge("usage", "line")
    one.edge("name", "line")

    def report(items: list[Gathered]) -> str:
        context.set_content_type("text/markdown; charset=utf-8")
        context.label("customers", str(len(items)))
        failed = [f"\n{item.key} is missing: {item.failed.message}\n" for item in items if item.failed]
        rows = [item.ended.decode() for item in items if isinstance(item.ended, bytes)]
        head = "| customer | requests | errors | sent | median |\n|---|--:|--:|--:|--:|\n"
        return head + "".join(rows) + "".join(failed)

    customers.gather(report)


def by_customer(log: bytes) -> dict[str, str]:
    """The rows of each customer as JSON, in the order of their first appearance. A malformed row is the caller's fault."""
    lines = csv.reader(log.decode().splitlines())
    if next(lines, None) != COLUMNS:
        raise Reject(f"the log must begin with the line {','.join(COLUMNS)}")
    rows: dict[str, list[dict[str, str]]] = {}
    for number, values in enumerate(lines, start=2):
        if len(values) != len(COLUMNS):
            raise Reject(f"line {number} has {len(values)} values, and must have {len(COLUMNS)}")
        row = dict(zip(COLUMNS, values))
        rows.setdefault(row["customer"], []).append(row)
    return {customer: json.dumps(theirs) for customer, theirs in rows.items()}


def usage(rows: list[dict[str, str]]) -> dict[str, float]:
    """What the rows of one customer add up to."""
    return {
        "requests": len(rows),
        "errors": sum(int(row["status"]) >= 500 for row in rows),
        "bytes": sum(int(row["bytes"]) for row in rows),
        "median": median(float(row["ms"]) for row in rows),
    }


def nameless(failed: Failed) -> str:
    """A customer whose name is not known is shown by its number. Any other failure is one of this customer alone."""
    if failed.status == 404:
        return f"customer {failed.input.decode()}"
    raise Reject(str(failed))


def line(inputs: Inputs) -> str:
    """A row of the table."""
    used = inputs.json("usage")
    numbers = [intcomma(used["requests"]), intcomma(used["errors"]), naturalsize(used["bytes"]), f"{used['median']:g} ms"]
    return f"| {' | '.join([inputs.text('name').strip(), *numbers])} |\n"
