"""Writes the schemas that kubeconform checks manifests against, out of packages that have them.

    python schemas.py kubernetes FOLDER 1.29.0 1.37.0    # with kubernetes-validate: of these versions of Kubernetes
    python schemas.py monitors FOLDER                     # with cloudcoil.models.prometheus_operator
    python schemas.py functions FOLDER                    # of our own: see function()

All are strict: a property that nobody knows is an error.
"""

import json
import sys
from pathlib import Path

KINDS = [
    "configmap-v1",
    "deployment-apps-v1",
    "namespace-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "secret-v1",
    "service-v1",
    "serviceaccount-v1",
    "statefulset-apps-v1",
]


def kubernetes(folder: Path, *versions: str) -> None:
    """One file per kind that needs no other, as kubeconform wants them."""
    import kubernetes_validate

    source = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for version in versions:
        strict = source / f"v{version}-local-strict"
        definitions = read(strict / "_definitions.json")["$defs"]
        target = folder / f"v{version}"
        target.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            schema = read(strict / f"{kind}.json")
            schema.pop("$id")
            schema["$defs"] = reachable(schema, definitions)
            (target / f"{kind}.json").write_text(json.dumps(schema))


def read(file: Path) -> dict:
    """A schema whose definitions are its own."""
    return json.loads(file.read_text().replace("/api/_definitions.json#", "#"))


def reachable(schema: dict, definitions: dict) -> dict:
    """The definitions that a schema refers to, and those that they do."""
    found = {}
    todo = [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).removeprefix("#/$defs/")
            if name and name not in found:
                found[name] = definitions[name]
                todo.append(found[name])
            todo.extend(node.values())
    return found


def monitors(folder: Path) -> None:
    """The Prometheus operator's ServiceMonitor and PrometheusRule, from models that are made of their definitions."""
    from cloudcoil.models.prometheus_operator import v1

    for model in (v1.ServiceMonitor, v1.PrometheusRule):
        schema = model.model_json_schema()
        for node in [schema, *schema["$defs"].values()]:
            if "properties" in node:
                node["additionalProperties"] = False
        # The model of metadata is the package's own, and Kubernetes checks it anyway.
        schema["properties"]["metadata"] = {"type": "object"}
        (folder / f"{model.__name__.lower()}-monitoring-v1.json").write_text(json.dumps(schema))


def functions(folder: Path) -> None:
    """What `faas-cli generate` makes, of the fields that it was seen to write: the definition itself may not be copied."""
    strings = {"type": "object", "additionalProperties": {"type": "string"}}
    amounts = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"memory": {"type": "string", "minLength": 1}, "cpu": {"type": "string", "minLength": 1}},
    }
    names = {"type": "array", "items": {"type": "string"}}
    name = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "properties": {
            "apiVersion": {"const": "openfaas.com/v1"},
            "kind": {"const": "Function"},
            "metadata": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "namespace"],
                "properties": {"name": name, "namespace": name},
            },
            "spec": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name", "image"],
                "properties": {
                    "name": name,
                    "image": {"type": "string", "minLength": 1},
                    "environment": strings,
                    "labels": strings,
                    "annotations": strings,
                    "limits": amounts,
                    "requests": amounts,
                    "constraints": names,
                    "secrets": names,
                    "readOnlyRootFilesystem": {"type": "boolean"},
                },
            },
        },
    }
    (folder / "function-openfaas-v1.json").write_text(json.dumps(schema))


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    {"kubernetes": kubernetes, "monitors": monitors, "functions": functions}[what](Path(folder), *rest)
