"""The flow, without WebAssembly and without its function."""

import unittest

from faas_flow import Response
from faas_flow.testing import Call, Flow, RunFailed, run
from flow import COLUMNS, define

HEAD = ",".join(COLUMNS) + "\n"
LOG = HEAD + """09:00:01,c1,/,200,1200,10
09:00:02,c2,/api,500,0,900
09:00:03,c1,/img,200,2500000,30
"""


def name(call: Call) -> Response | str:
    """Knows one customer."""
    return "Ada & Sons\n" if call.body == b"c1" else Response(404)


class DataJob(unittest.TestCase):
    def test_every_customer_has_a_row(self) -> None:
        job = run(define, LOG).function("customer-name", name)
        rows = job.result().decode().splitlines()[2:]
        self.assertEqual(rows, ["| Ada & Sons | 2 | 0 | 2.5 MB | 20 ms |", "| customer c2 | 1 | 1 | 0 Bytes | 900 ms |"])
        assert job.response is not None
        self.assertEqual(job.response.header("content-type"), "text/markdown; charset=utf-8")
        self.assertEqual(job.labels, {"customers": "2"})

    def test_a_customer_that_fails_is_named_below_the_table(self) -> None:
        def broken(call: Call) -> Response | str:
            return Response(500) if call.body == b"c2" else "Ada"

        report = run(define, LOG).function("customer-name", broken).result().decode()
        self.assertIn("| Ada | 2 |", report)
        self.assertIn("c2 is missing: FF0207 at customers[c2]/name: `customer-name` answered with status 500", report)

    def test_a_malformed_line_is_rejected_with_its_number(self) -> None:
        with self.assertRaisesRegex(RunFailed, "line 2 has 1 values, and must have 6"):
            run(define, HEAD + "09:00:01\n").result()

    def test_a_number_that_is_none_fails_its_customer_alone(self) -> None:
        report = run(define, LOG + "09:00:04,c2,/,200,many,1\n").function("customer-name", name).result().decode()
        self.assertRegex(report, r"c2 is missing: ValueError: .*'many' \(flow.py, line \d+, in <genexpr>\)")

    def test_a_function_can_be_called_alone(self) -> None:
        rows = Flow(define).for_each("customers/for-each", LOG)
        self.assertEqual([customer for customer, _ in rows], ["c1", "c2"])
