"""Checks the dashboard for Grafana, and writes its queries as rules that promtool can check.

    python dashboard.py deploy/chart/files/dashboard.json FOLDER    # with grafana-foundation-sdk

The models of Grafana's own package read the dashboard and write it again: what they do not know would be lost. Grafana is
not asked itself, since no package registry has it.
"""

import json
import sys
from pathlib import Path

from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def missing(read: object, known: object, place: str) -> list[str]:
    """What is in the file, but not among what the models know."""
    if isinstance(read, dict) and isinstance(known, dict):
        lacking = [f"{place}.{key}" for key in read if key not in known and read[key] not in (None, [], {}, "", False)]
        both = [key for key in read if key in known]
        return lacking + [found for key in both for found in missing(read[key], known[key], f"{place}.{key}")]
    if isinstance(read, list) and isinstance(known, list) and len(read) == len(known):
        return [found for i, (a, b) in enumerate(zip(read, known)) for found in missing(a, b, f"{place}[{i}]")]
    return [] if read == known else [f"{place}: {json.dumps(read)} is read as {json.dumps(known)}"]


def problems(dashboard: dict) -> list[str]:
    plugins.register_default_plugins()
    known = json.loads(encoder.JSONEncoder(sort_keys=True).encode(Dashboard.from_json(dashboard)))
    found = missing(dashboard, known, "dashboard")
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    found += [f"two panels have the id {id}" for id in set(ids) if ids.count(id) > 1]
    for panel in panels:
        if panel["type"] != "row" and not panel.get("description"):
            found.append(f"the panel `{panel['title']}` has no description")
        place = panel["gridPos"]
        if place["x"] + place["w"] > 24:
            found.append(f"the panel `{panel['title']}` is wider than the dashboard")
    places = [(p["title"], cell) for p in panels for cell in cells(p["gridPos"])]
    taken: dict = {}
    for title, cell in places:
        if taken.setdefault(cell, title) != title:
            found.append(f"the panels `{taken[cell]}` and `{title}` overlap")
    return found


def cells(place: dict) -> list[tuple[int, int]]:
    across, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
    return [(x, y) for x in across for y in down]


def queries(dashboard: dict) -> list[str]:
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    annotations = [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
    values = {"$__rate_interval": "5m", "$flow": ".*", "$instance": ".*"}
    found = []
    for query in targets + annotations:
        for variable, value in values.items():
            query = query.replace(variable, value)
        found.append(query)
    return found


if __name__ == "__main__":
    file, folder = map(Path, sys.argv[1:])
    dashboard = json.loads(file.read_text())
    if found := problems(dashboard):
        sys.exit("\n".join([f"{file}:", *found]))
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries(dashboard))]
    groups = {"groups": [{"name": "dashboard", "rules": rules}]}
    (folder / "queries.json").write_text(json.dumps(groups))
