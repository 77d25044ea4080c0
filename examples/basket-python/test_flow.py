"""The flow, without WebAssembly and without the flow that it calls."""

import json
import unittest

from faas_flow import Request, Response
from faas_flow.testing import RunFailed, run
from flow import define


def price(request: Request) -> Response | str:
    """Everything costs 2.50 but unicorns, which are not to be had."""
    asked = json.loads(request.body)
    if asked["item"] == "unicorns":
        return Response(404)
    return json.dumps({"count": asked["count"], "cents": 250 * asked["count"]})


class Basket(unittest.TestCase):
    def test_the_bill_has_each_item_and_the_total(self) -> None:
        bill = run(define, "3 hats\n1 unicorns\n").function("price-go", price).result().decode()
        self.assertEqual(bill, "3 x hats: 7.50 EUR\nunicorns cannot be had\ntotal: 7.50 EUR")

    def test_a_malformed_line_is_rejected_with_its_number(self) -> None:
        with self.assertRaisesRegex(RunFailed, "line 2 is not a number and an item"):
            run(define, "3 hats\nhats\n").result()
