"""Prints what `faas-cli generate` makes of stack.yaml files: by its rules, in code of our own, since no registry that
this project builds from has faas-cli.

    python functions.py examples/*/stack.yaml

A field that faas-cli would pass over in silence is an error here.
"""

import re
import sys
from pathlib import Path

import yaml

TOP = {"version", "provider", "functions", "configuration"}
# go-sdk/stack/schema.go
FIELDS = set(
    "lang handler image fprocess environment secrets skip_build constraints environment_file labels limits requests "
    "readonly_root_filesystem build_options annotations namespace build_args platforms build_secrets".split()
)


class StackError(Exception):
    pass


def known(fields: dict, names: set, where: str) -> None:
    for field in fields.keys() - names:
        raise StackError(f"{where}: faas-cli knows no `{field}`")


def text(value: object) -> str:
    """As Go's YAML reads a scalar into a string."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def environment(function: dict, folder: Path) -> dict:
    """Files win over what stands in the stack."""
    variables = {name: text(value) for name, value in (function.get("environment") or {}).items()}
    for file in function.get("environment_file", []):
        read = yaml.safe_load((folder / file).read_text())
        known(read, {"environment"}, file)
        variables.update({name: text(value) for name, value in read["environment"].items()})
    return variables


def generate(path: Path) -> list:
    # ${NAME:-default}
    filled = re.sub(r"\$\{\w+(?::-([^}]*))?\}", lambda found: found[1] or "", path.read_text())
    stack = yaml.safe_load(filled)
    known(stack, TOP, str(path))
    if stack["provider"]["name"] != "openfaas":
        raise StackError(f"{path}: the provider is not openfaas")
    made = []
    for name, function in stack["functions"].items():
        known(function, FIELDS, f"{path}: {name}")
        if not re.fullmatch(r"[a-z0-9-]+", name):
            raise StackError(f"{path}: faas-cli takes no function called {name}")
        spec = {"name": name, "image": function["image"]}
        spec["environment"] = environment(function, path.parent)
        for field in ["labels", "annotations"]:
            spec[field] = {key: text(value) for key, value in (function.get(field) or {}).items()}
        for field in ["limits", "requests", "constraints", "secrets"]:
            spec[field] = function.get(field)
        spec["readOnlyRootFilesystem"] = function.get("readonly_root_filesystem", False)
        namespace = function.get("namespace", "openfaas-fn")
        made.append(
            {
                "apiVersion": "openfaas.com/v1",
                "kind": "Function",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {field: value for field, value in spec.items() if value},
            }
        )
    return made


if __name__ == "__main__":
    try:
        yaml.safe_dump_all([made for path in sys.argv[1:] for made in generate(Path(path))], sys.stdout)
    except StackError as error:
        sys.exit(f"error: {error}")
