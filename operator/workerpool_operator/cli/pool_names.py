"""Names of pools, for a shell that completes them.

Asked in a process of its own, which is ended when it takes too long: whatever it waits for (a cluster that is away, a
name server, a program that logs in), the person at the shell does not wait for it, and sees nothing of its troubles.
"""

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
from math import inf
from typing import Final

import typer

SECONDS: Final = 3.0
"""Until the process is given up: for its start, which takes a second where nothing else runs, and for a login."""
VARIABLE: Final = "WPOOL_COMPLETION_SECONDS"
"""What says another number, for a login that takes long."""
_ANSWER_SHARE: Final = 1 / 3
"""Of that time: until the cluster is given up, from the first question on."""
MOST: Final = 500
"""A list that is longer helps nobody."""


def complete(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names that go on so, in the namespace and context that were typed before; none at any trouble."""
    said = {name: ctx.params.get(name) for name in ("namespace", "context")}
    asked = [f"--{name}={value}" for name, value in said.items() if isinstance(value, str)]
    asked += ["--everywhere"] if ctx.params.get("everywhere") else []
    seconds = _seconds(os.environ.get(VARIABLE, ""))
    asked += [f"--begins={incomplete}", f"--seconds={seconds * _ANSWER_SHARE}"]
    try:
        answer = subprocess.run(  # noqa: S603  this program, with what was typed as values of options
            [sys.executable, "-m", __name__, *asked],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            text=True,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    return [name for name in answer.stdout.split() if name.startswith(incomplete)]


def _seconds(said: str) -> float:
    try:
        seconds = float(said)
    except ValueError:
        return SECONDS
    return seconds if 0 < seconds < inf else SECONDS


async def _print(namespace: str | None, context: str | None, *, everywhere: bool, begins: str, seconds: float) -> None:
    """Those that begin so; as many as have come by the time that is allowed."""
    from workerpool_operator.kube import ClusterAccess, Kube, kinds  # noqa: PLC0415  it takes a second

    access = await ClusterAccess.find(context=context)
    where, names = None if everywhere else namespace or access.namespace, set[str]()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), Kube(access) as kube:
            async for pool in kube.list(kinds.WORKER_POOL, namespace=where):
                names.add(pool["metadata"]["name"])
    found = sorted(name for name in names if name.startswith(begins))
    sys.stdout.write("".join(f"{name}\n" for name in found[:MOST]))


def main() -> None:
    """The process: names on its standard output, one on each line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace")
    parser.add_argument("--context")
    parser.add_argument("--everywhere", action="store_true")
    parser.add_argument("--begins", default="")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    asked = parser.parse_args()
    more = {"everywhere": asked.everywhere, "begins": asked.begins, "seconds": asked.seconds}
    asyncio.run(_print(asked.namespace, asked.context, **more))


if __name__ == "__main__":
    main()
