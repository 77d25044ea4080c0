"""Prices a basket: calls the flow `price-go` for each of its lines, and writes the bill."""

import json

from faas_flow import Context, Gathered, Reject, Workflow


def define(workflow: Workflow, context: Context) -> None:
    """Describes the flow."""
    items = workflow.dag.for_each("items", lines)
    items.tolerate_share(0.5)
    items.dag.node("price").apply("price-go")

    def bill(items: list[Gathered]) -> str:
        context.set_content_type("text/plain; charset=utf-8")
        rows, total = [], 0
        for item in items:
            if isinstance(item.ended, bytes):
                priced = json.loads(item.ended)
                total += priced["cents"]
                rows.append(f"{priced['count']} x {item.key}: {euros(priced['cents'])}")
            else:
                rows.append(f"{item.key} cannot be had")
        return "\n".join([*rows, f"total: {euros(total)}"])

    items.gather(bill)


def lines(basket: bytes) -> dict[str, str]:
    """A line such as `3 hats` for each item."""
    items = {}
    for number, line in enumerate(basket.decode().splitlines(), start=1):
        count, _, item = line.strip().partition(" ")
        if not item or not count.isdecimal():
            raise Reject(f"line {number} is not a number and an item, as in `3 hats`")
        items[item] = json.dumps({"item": item, "count": int(count)})
    return items


def euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02} EUR"
