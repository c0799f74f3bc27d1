"""What a worker's processes have told, as it is shown. Reads what `workerpool.introspect` writes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = Mapping[str, Any]

_RUNTIME: Final = (
    *("workerpool/", "<string>"),
    *("asyncio/", "concurrent/", "contextvars.py", "selectors.py", "socketserver.py", "subprocess.py", "threading.py"),
)
_MIB: Final = 2**20


def processes(text: str) -> list[Json]:
    """One object per process, the worker itself first.

    Raises:
        ValueError: this is no answer of a worker.
    """
    found = []
    for line in text.splitlines():
        answer = json.loads(line)
        if not isinstance(answer, dict) or not ("process" in answer or "error" in answer):
            raise ValueError("these are not the answers of a worker")
        if "error" in answer:
            raise ValueError(f"the worker could not answer: {answer['error']}")
        found.append(answer)
    return sorted(found, key=lambda one: (one["process"]["role"] != "worker", one["process"]["pid"]))


def shown(answers: Sequence[Json], *, everything: bool = False) -> RenderableType:
    """Jobs, endpoints and stacks of all processes; `everything`: also the runtime's own, and its part of each stack."""
    parts: list[RenderableType] = []
    for answer in answers:
        parts.append(_head(answer["process"]))
        if answer["jobs"]:
            parts.append(_jobs(answer["jobs"]))
        parts += [_endpoint(one) for one in answer["endpoints"]]
        stacks = [one for one in answer["stacks"] if everything or _of_the_program(one)]
        parts += [_stack(one, everything=everything) for one in stacks]
        hidden = len(answer["stacks"]) - len(stacks)
        if hidden:
            parts.append(Text(f"{hidden} tasks and threads of the runtime itself: see them with --all", style="dim"))
    return Group(*parts)


def _head(process: Json) -> Text:
    who = " ".join(str(process.get(key, "")) for key in ("pool", "version", "worker") if process.get(key))
    files = f"{process['open_files']} of {process['open_files_allowed']} files"
    size = f"{process['resident_bytes'] / _MIB:.0f} MiB, {files}"
    return Text(f"\n{process['role']}, process {process['pid']}  {who}  {size}", style="bold")


def _jobs(jobs: Sequence[Json]) -> Table:
    table = Table(title=f"{len(jobs)} jobs in flight", title_justify="left", box=None, pad_edge=False)
    for name in ("JOB", "TYPE", "QUEUE", "LANE", "STATE"):
        table.add_column(name, overflow="fold")
    for name in ("ATTEMPT", "AGE", "TIMEOUT"):
        table.add_column(name, justify="right")
    for job in jobs:
        timeout = job["timeout_seconds"]
        late = timeout is not None and job["age_seconds"] > timeout
        table.add_row(
            *(Text(str(job[key])) for key in ("job_id", "type", "queue", "lane", "state")),
            str(job["attempt"]),
            Text(f"{job['age_seconds']:.1f} s", style="red" if late else ""),
            "none" if timeout is None else f"{timeout:g} s",
        )
    return table


def _endpoint(endpoint: Json) -> Text:
    held = ", ".join(f"{one['job_id'] or 'no job'} for {one['seconds']:.1f} s" for one in endpoint["held_by"])
    text = Text(f"endpoint {endpoint['name']}: {len(endpoint['held_by'])} of {endpoint['at_most']} in use")
    text.append(f" by {held}" if held else "")
    text.append(f", {endpoint['waiting']} wait" if endpoint["waiting"] else "")
    return text


def _stack(stack: Json, *, everything: bool) -> Text:
    title = f"{stack['kind']} {stack['name']}"
    title += f", job {stack['job_id']}" if stack["job_id"] else ""
    state = stack["state"] + (f" for {stack['waits_for']}" if stack["waits_for"] else "")
    text = Text(f"\n{title}: {state}", style="cyan")
    lines = stack["lines"] if everything else _from_the_program_on(stack["lines"])
    for line in lines:
        text.append(f"\n  {line['file']}:{line['line']} {line['function']}", style="not bold white")
        if line["code"]:
            text.append(f"\n      {line['code']}", style="not bold dim")
    return text


def _of_the_program(stack: Json) -> bool:
    """Whether the program's own code is in it: not what only waits for a thread or a process that tells more."""
    return any(not is_runtime(line["file"]) for line in _above_the_loop(stack["lines"]))


def _from_the_program_on(lines: Sequence[Json]) -> Sequence[Json]:
    above = _above_the_loop(lines)
    first = next((number for number, line in enumerate(above) if not is_runtime(line["file"])), 0)
    return above[first:]


def _above_the_loop(lines: Sequence[Json]) -> Sequence[Json]:
    """What an event loop runs, without how the program started it."""
    loops = [number for number, line in enumerate(lines) if line["function"].endswith("run_forever")]
    return lines[loops[-1] + 1 :] if loops else lines


def is_runtime(file: str) -> bool:
    """Whether this is a file of the SDK, or of what is below it."""
    return file.startswith(_RUNTIME)
