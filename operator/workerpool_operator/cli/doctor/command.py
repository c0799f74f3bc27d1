"""The command `wpool doctor`: options in, exit code out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.padding import Padding
from rich.text import Text

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode
from workerpool_operator.cli.doctor.checks import findings
from workerpool_operator.cli.doctor.seen import Finding, Level
from workerpool_operator.cli.hints import in_context
from workerpool_operator.cli.terminal import Console

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Look for what keeps pools from working: Kubernetes, the resource definition, the operator, the place of
the external metrics API, whether alerts are evaluated and metrics read, Pod Security, the pools' own words, and your
rights. Each finding has its remedy.

It only reads, with your own rights; what you may not see is left out and said.

Exit codes: 0 all is well; 1 something does not work; 2 wrong usage; 3 the cluster cannot be asked.
"""

EPILOG: Final = """**Examples**

    wpool doctor

    wpool doctor --namespace media

    wpool doctor --json | jq '.[] | select(.level == "bad")'
"""

_SIGNS: Final = {Level.GOOD: ("ok  ", "green"), Level.NOTE: ("note", "yellow"), Level.BAD: ("BAD ", "bold red")}


def doctor(  # noqa: D103  typer: the help text is HELP, and options are arguments
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            callback=cluster.named,
            help="Only this one's pools; by default those of all.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array of findings.")] = False,
    context: cluster.Context = None,
) -> None:
    async def question(access: "ClusterAccess") -> list[Finding]:
        from workerpool_operator.cli.doctor.look import look  # noqa: PLC0415  see cluster.asked

        told = findings(await look(access, namespace=namespace))
        return [replace(finding, remedy=in_context(finding.remedy, context)) for finding in told]

    found = cluster.asked("doctor", question, context=context)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        _print(found)
    raise typer.Exit(ExitCode.NOTHING if any(finding.level is Level.BAD for finding in found) else ExitCode.OK)


def _print(found: Sequence[Finding]) -> None:
    console = Console()
    for finding in found:
        sign, style = _SIGNS[finding.level]
        console.print(Text.assemble((sign, style), f"  {finding.subject}: {finding.text}"))
        if finding.remedy:
            console.print(Padding(Text(finding.remedy, style="cyan"), (0, 0, 0, 6)))
