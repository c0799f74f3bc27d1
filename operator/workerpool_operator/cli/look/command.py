"""The commands `wpool dump` and `wpool flame`: options in, exit code out."""

import json
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from workerpool.introspect.sampling import Mode
from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import ExitCode
from workerpool_operator.cli.look import answers, flame
from workerpool_operator.cli.terminal import Console

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

_ASK: Final = ("-m", "workerpool.introspect")
_DUMP_SECONDS: Final = 20.0
_MARGIN_SECONDS: Final = 20.0

DUMP_HELP: Final = """Show what a live worker is doing: its jobs in flight and their ages, who holds and awaits its
endpoints, and the stacks of its tasks and threads with what each waits for. The processes of its cpu lane tell theirs.

It answers while its event loop is blocked. It goes on with its work meanwhile, and no payload is shown.

It needs your own right to `exec` into the pod. The worker must run on this SDK, with `python` on its PATH.

Exit codes: 0 it answered; 2 wrong usage; 3 it cannot be asked.
"""

DUMP_EPILOG: Final = """**Examples**

    wpool dump thumbs-7c9d-x2x9k --namespace media

    wpool dump thumbs-7c9d-x2x9k -n media --json > before-the-restart.json

    wpool dump --file before-the-restart.json --all

    python -m workerpool.introspect dump | wpool dump --file -
"""

FLAME_HELP: Final = """Draw where a live worker's time goes, as a flame graph, by sampling it for some seconds.

Mode `cpu` weighs the CPU time of each thread, mode `wall` the time that passes: of threads, and of the event loop's
tasks by what they await. All processes of the cpu lane are sampled together with the worker. Sampling a hundred times a
second costs each of them a few percent of a core.

It needs your own right to `exec` into the pod. The worker must run on this SDK, with `python` on its PATH.

Exit codes: 0 drawn; 1 there was nothing to draw: the worker used no CPU; 2 wrong usage; 3 it cannot be asked.
"""

FLAME_EPILOG: Final = """**Examples**

    wpool flame thumbs-7c9d-x2x9k --namespace media

    wpool flame thumbs-7c9d-x2x9k -n media --seconds 30 --mode wall --output waits.svg

    wpool flame thumbs-7c9d-x2x9k -n media --format speedscope --output profile.json
"""


class Format(StrEnum):
    """How a profile is written."""

    SVG = "svg"
    FOLDED = "folded"
    SPEEDSCOPE = "speedscope"


class _Where(NamedTuple):
    pod: str
    namespace: str | None
    container: str
    context: str | None
    python: str


_Container = Annotated[str, typer.Option("--container", "-c", help="The worker's container.")]
_Python = Annotated[str, typer.Option(help="The interpreter in the container that has the SDK.")]


def dump(  # noqa: D103, PLR0917  typer: the help text is DUMP_HELP, and options are arguments
    pod: Annotated[str, typer.Argument(callback=cluster.named, help="The worker's pod.", show_default=False)] = "",
    namespace: cluster.Namespace = None,
    container: _Container = "worker",
    context: cluster.Context = None,
    python: _Python = "python",
    file: Annotated[str, typer.Option(help="Show a dump that was saved, or - for standard input.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also the runtime's own tasks and threads.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, one for each process.")] = False,
) -> None:
    if bool(pod) == bool(file):
        raise typer.BadParameter("name a pod, or a --file")
    if file:
        text = _saved(file)
    else:
        where = _Where(pod, namespace, container, context, python)
        text = _asked("dump", where, ["dump"], seconds=_DUMP_SECONDS)
    found = _understood("dump", text)
    if as_json:
        typer.echo(text, nl=False)
        return
    Console().print(answers.shown(found, everything=everything))


def flame_graph(  # noqa: D103, PLR0917  as above
    pod: Annotated[str, typer.Argument(callback=cluster.named, help="The worker's pod.", show_default=False)],
    namespace: cluster.Namespace = None,
    container: _Container = "worker",
    context: cluster.Context = None,
    python: _Python = "python",
    seconds: Annotated[float, typer.Option(min=0.1, max=600.0, help="How long it is sampled.")] = 10.0,
    rate: Annotated[float, typer.Option(min=1.0, max=1000.0, help="Samples per second.")] = 100.0,
    mode: Annotated[Mode, typer.Option(help="What a stack weighs.")] = Mode.CPU,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.SVG,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; by default POD with a suffix.")] = None,
) -> None:
    errors = Console(stderr=True)
    words = ["profile", "--seconds", f"{seconds:g}", "--per-second", f"{rate:g}", "--mode", mode.value]
    where = _Where(pod, namespace, container, context, python)
    with errors.status(f"sampling {pod} for {seconds:g} s"):
        text = _asked("flame", where, words, seconds=seconds + _MARGIN_SECONDS)
    found = _understood("flame", text)
    stacks: Counter[str] = Counter()
    for answer in found:
        process = answer["process"]
        for stack, weight in answer["stacks"].items():
            stacks[f"{process['role']} {process['pid']};{stack}"] += weight
    if not stacks:
        errors.print(f"{pod} used no CPU in {seconds:g} s: nothing to draw. What it waits for: --mode wall")
        raise typer.Exit(ExitCode.NOTHING)
    target = output or Path(f"{pod}.{'json' if form is Format.SPEEDSCOPE else form.value}")
    target.write_text(_written(form, stacks, pod, _subtitle(mode, found)), encoding="utf-8")
    typer.echo(f"{target}: {_subtitle(mode, found)}")


def _subtitle(mode: Mode, found: Sequence[answers.Json]) -> str:
    longest = max(one["seconds"] for one in found)
    used = sum(one["cpu_seconds"] for one in found)
    samples = sum(one["samples"] for one in found)
    weighed = "CPU time" if mode is Mode.CPU else "time passed"
    return f"{weighed} over {longest:.1f} s, {used:.2f} s of CPU used, {samples} samples of {len(found)} processes"


def _written(form: Format, stacks: flame.Stacks, title: str, subtitle: str) -> str:
    match form:
        case Format.SVG:
            return flame.svg(stacks, title=title, subtitle=subtitle)
        case Format.FOLDED:
            return flame.folded(stacks)
        case Format.SPEEDSCOPE:
            return json.dumps(flame.speedscope(stacks, title=f"{title}: {subtitle}"))


def _saved(file: str) -> str:
    try:
        return typer.get_text_stream("stdin").read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error


def _understood(command: str, text: str) -> list[answers.Json]:
    try:
        return answers.processes(text)
    except (ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        cluster.fail(command, f"the answer makes no sense: {why}")


def _asked(command: str, where: _Where, words: Sequence[str], *, seconds: float) -> str:
    from workerpool_operator.cli.look.remote import Target, run_in  # noqa: PLC0415  see cluster.asked

    async def ask(access: "ClusterAccess") -> str:
        target = Target(where.namespace or access.namespace, where.pod, where.container)
        return await run_in(access, target, [where.python, *_ASK, *words], seconds=seconds)

    return cluster.asked(command, ask, context=where.context)
