"""`faas-cli build` runs these tests."""

import unittest

from faas_flow import Reject
from faas_flow.testing import Flow
from flow import define


class Greet(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(Flow(define).modify("greet/0", "Adam\n"), b"Hello, Adam!")

    def test_an_empty_name_is_rejected(self) -> None:
        with self.assertRaises(Reject):
            Flow(define).modify("greet/0", " ")
