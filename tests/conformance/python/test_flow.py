"""Compares what the flow defines, without a host, with what was recorded."""

import json
import unittest
from pathlib import Path

from faas_flow.testing import Fake, Flow
from flow import CASES, define

DEFINITIONS = Path(__file__).parent.parent / "definitions.json"


class Conformance(unittest.TestCase):
    def test_each_case_has_the_definition_that_was_recorded(self) -> None:
        recorded = json.loads(DEFINITIONS.read_text())
        self.assertEqual(set(CASES), set(recorded))
        for name, expected in recorded.items():
            with self.subTest(name):
                fake = Fake(query={"case": name, "id": "seven"}, headers={"X-Times": "90"})
                self.assertEqual(Flow(define, fake).definition, expected)
