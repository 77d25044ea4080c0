"""The flow's function, without WebAssembly."""

import unittest

from faas_flow import Reject
from faas_flow.testing import Flow
from flow import define


class Greet(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        self.assertEqual(Flow(define).modify("greet/0", " Adam\n"), b"Hello, Adam!")

    def test_empty_names_and_invalid_utf8_are_rejected(self) -> None:
        flow = Flow(define)
        with self.assertRaises(Reject):
            flow.modify("greet/0", " ")
        with self.assertRaises(UnicodeDecodeError):
            flow.modify("greet/0", b"\xff")
