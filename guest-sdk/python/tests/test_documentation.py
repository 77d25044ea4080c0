"""Everything that authors use is documented."""

import inspect
import unittest

import faas_flow
import faas_flow.testing


class Documentation(unittest.TestCase):
    def test_every_public_item_has_a_text(self) -> None:
        lacking = []
        for module in (faas_flow, faas_flow.testing):
            for name in module.__all__:
                item = getattr(module, name)
                if not inspect.isclass(item) and not inspect.isfunction(item):
                    continue
                members = vars(item).items() if inspect.isclass(item) else ()
                documented = [(name, item)] + [
                    (f"{name}.{key}", value.fget if isinstance(value, property) else value)
                    for key, value in members
                    if not key.startswith("_") and (callable(value) or isinstance(value, (property, staticmethod)))
                ]
                lacking += [path for path, value in documented if not inspect.getdoc(value)]
        self.assertEqual(lacking, [])
