"""Named values, as aggregators take them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Inputs(Mapping[str, bytes]):
    """The values that an aggregator merges, each with a name: a mapping whose order has a meaning.

    The inputs of a node are named by the predecessor that sent them and come in the order in which the edges were declared.
    The results of branches are named by the branch's key and come in the order in which the branches were chosen or split.
    Neither order depends on which finished first.

    ```python
    def report(inputs: Inputs) -> str:
        return f"{inputs.text('total')} from {', '.join(inputs)}"
    ```
    """

    def __init__(self, values: Mapping[str, bytes] | Iterable[tuple[str, bytes]] = ()) -> None:
        """Flows do not need this, but their tests do."""
        self._values = dict(values)

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._values[name]
        except KeyError:
            names = ", ".join(self._values) or "none"
            raise KeyError(f"no input is named {name}; there are: {names}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Inputs({self._values!r})"

    def text(self, name: str) -> str:
        """The value with this name, which is UTF-8."""
        return self[name].decode()

    def json(self, name: str) -> Any:
        """The value with this name, read as JSON."""
        return json.loads(self[name])

    def concat(self) -> bytes:
        """All values joined into one, in order, with nothing between them."""
        return b"".join(self._values.values())
