"""The command `wpool lint`: files in, faults out."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
import yaml

from workerpool_operator.api.pool import API_VERSION
from workerpool_operator.cli.cluster import ExitCode
from workerpool_operator.cli.lint.read import Document, documents, why_unread
from workerpool_operator.cli.terminal import Console, one_line, say

HELP: Final = """Check WorkerPools and WorkerPoolBudgets as `kubectl apply` would, without a cluster.

Types, bounds, required fields and all rules of this release's resource definition, with its own words; and fields that
it does not know, for which kubectl has an object refused. A key that is there twice is a warning: kubectl takes the
last one without a word. Other kinds in the files are passed over. What only a cluster knows is not looked at: whether
Secrets and service accounts that are named are there, policies, quotas.

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
    from workerpool_operator.cli.lint.verdict import (  # noqa: PLC0415  it brings an interpreter of CEL
        definition,
        examine,
        nearly_ours,
    )

    errors, checked, refused = Console(stderr=True, soft_wrap=True), 0, 0
    for file in files:
        before = checked + refused
        for number, document in enumerate(_documents(file), start=1):
            of = definition(document.body)
            name = one_line(_name(document.body) or f"document {number}")
            if of is None:
                if why := nearly_ours(document.body):
                    refused += 1
                    errors.print(f"{file}: {name}: error: {one_line(why)}", style="red", markup=False, highlight=False)
                continue
            checked += 1
            about = f"{file}: {of.kind} {name}"
            faults = examine(document, of)
            refused += any(strict or not fault.warning for fault in faults)
            for fault in faults:
                sign, style = ("warning", "yellow") if fault.warning else ("error", "red")
                errors.print(f"{about}: {sign}: {fault}", style=style, markup=False, highlight=False)
            if not faults:
                say(f"{about}: valid")
        if checked + refused == before and len(files) > 1:
            say(f"{file}: nothing of ours in it")
    if not (checked or refused):
        raise typer.BadParameter(f"there is no WorkerPool or WorkerPoolBudget of {API_VERSION} in {', '.join(files)}")
    if refused:
        raise typer.Exit(ExitCode.NOTHING)


def _documents(file: str) -> list[Document]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        return list(documents(text))
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise typer.BadParameter(f"{file} is no YAML: {one_line(why_unread(error))}") from error


def _name(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, Mapping) else ""
