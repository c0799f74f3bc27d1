"""The command `wpool lint`: files in, faults out."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
import yaml

from workerpool_operator.api.crd import DEFINITIONS, Definition, root_schema
from workerpool_operator.api.pool import API_VERSION
from workerpool_operator.cli.cluster import ExitCode
from workerpool_operator.cli.terminal import Console, one_line, say

if TYPE_CHECKING:
    from workerpool_operator.cli.lint.validate import Fault

HELP: Final = """Check WorkerPools and WorkerPoolBudgets as the API server would, without a cluster.

Types, bounds, required fields and all rules of this release's resource definition, with its own words; fields that it
does not know, and so would drop, are warnings. Other kinds in the files are passed over. What only a cluster knows is
not looked at: whether Secrets and service accounts that are named are there, policies, quotas.

Exit codes: 0 all of them would be accepted; 1 one would be refused, with `--strict` also one with a warning; 2 wrong
usage, a file that cannot be read, or nothing to check in it.
"""
EPILOG: Final = """**Examples**

    wpool lint pool.yaml

    wpool lint --strict pools/*.yaml

    helm template my-chart | wpool lint -
"""


def lint(  # noqa: D103  typer: the help text is HELP
    files: Annotated[list[str], typer.Argument(help="YAML files, or - for standard input.", show_default=False)],
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are faults, too.")] = False,
) -> None:
    from workerpool_operator.cli.lint.validate import validate  # noqa: PLC0415  it brings an interpreter of CEL

    schemas = {of.kind: root_schema(of) for of in DEFINITIONS}
    errors, checked, refused = Console(stderr=True, soft_wrap=True), 0, 0
    for file in files:
        for number, body in enumerate(_bodies(file), start=1):
            definition = _definition(body)
            if definition is None:
                continue
            checked += 1
            name = (body.get("metadata") or {}).get("name") or f"document {number}"
            about = f"{file}: {definition.kind} {one_line(str(name))}"
            faults = [*_metadata_faults(body), *validate(body, schemas[definition.kind])]
            refused += any(strict or not fault.warning for fault in faults)
            for fault in faults:
                sign, style = ("warning", "yellow") if fault.warning else ("error", "red")
                text = f"{about}: {sign}: {fault.field}: {fault.message}"
                errors.print(text, style=style, markup=False, highlight=False)
            if not faults:
                say(f"{about}: valid")
    if not checked:
        raise typer.BadParameter(f"there is no WorkerPool or WorkerPoolBudget of {API_VERSION} in {', '.join(files)}")
    if refused:
        raise typer.Exit(ExitCode.NOTHING)


def _bodies(file: str) -> Iterator[Mapping[str, Any]]:
    """The documents of a file that are objects, those of a List one by one."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        documents = list(yaml.safe_load_all(text))
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise typer.BadParameter(f"{file} is no YAML: {one_line(str(error))}") from error
    for document in documents:
        for body in document.get("items") or () if _is(document, "List") else [document]:
            if isinstance(body, Mapping):
                yield body


def _is(document: Any, kind: str) -> bool:
    return isinstance(document, Mapping) and document.get("kind") == kind and isinstance(document.get("items"), list)


def _definition(body: Mapping[str, Any]) -> Definition | None:
    if body.get("apiVersion") != API_VERSION:
        return None
    return next((of for of in DEFINITIONS if of.kind == body.get("kind")), None)


def _metadata_faults(body: Mapping[str, Any]) -> Iterator["Fault"]:
    from workerpool_operator.cli.lint.validate import Fault  # noqa: PLC0415  as above

    metadata = body.get("metadata")
    if not isinstance(metadata, Mapping) or not isinstance(metadata.get("name"), str):
        yield Fault(field="metadata.name", message="Required value")
