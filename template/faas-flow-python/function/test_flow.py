"""`faas-cli build` runs these tests."""

import unittest

from faas_flow.testing import RunFailed, run
from flow import define


class Greet(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(run(define, "Adam\n").result(), b"Hello, Adam!")

    # Once the flow calls functions, say what they answer: run(define, "Adam").answers("translate", "Bonjour").
    def test_an_empty_name_is_rejected(self) -> None:
        with self.assertRaisesRegex(RunFailed, "there is no name to greet"):
            run(define, " ").result()
