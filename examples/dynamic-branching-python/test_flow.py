"""The flow's functions, and the whole flow with functions of the test."""

import unittest

from faas_flow.testing import Flow, run
from flow import define


class DynamicBranching(unittest.TestCase):
    def test_handlers_are_named_by_their_position(self) -> None:
        expected = [
            "C/aggregate-branches",
            "C/condition",
            "C[c1]/F/aggregate-branches",
            "C[c1]/F/for-each",
            "C[c1]/F[]/n1/0",
            "C[c2]/n1/1",
            "n1/0",
        ]
        self.assertEqual(Flow(define).handlers, expected)

    def test_every_item_of_the_for_each_is_a_copy_of_the_data(self) -> None:
        items = Flow(define).for_each("C[c1]/F/for-each", "hi")
        self.assertEqual(items, [("f1", b"hi"), ("f2", b"hi")])

    def test_results_are_joined_by_key(self) -> None:
        a_run = run(define, "hi").function("func1", lambda call: call.body)
        a_run.function("fake-storage", lambda call: call.body)
        # The result is that of the module, which the README of dynamic-branching shows.
        self.assertEqual(a_run.result(), b"c1=f1=hi n1 F/n1, f2=hi n1 F/n1, c2=hi n1 c2/n1")
        ran = ["n1", "C", "C[c1]/F", "C[c1]/F[f1]/n1", "C[c1]/F[f2]/n1", "C[c2]/n1", "n2"]
        self.assertEqual(a_run.ran, ran)
