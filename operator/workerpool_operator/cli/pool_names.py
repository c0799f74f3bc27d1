"""Names of pools, for a shell that completes them.

Asked in a process of its own, which is ended when it takes too long: whatever it waits for (a cluster that is away, a
name server, a program that logs in), the person at the shell does not wait for it, and sees nothing of its troubles.
"""

import argparse
import asyncio
import subprocess
import sys
from typing import Final

import typer

SECONDS: Final = 4.0
"""Until it is given up."""
MOST: Final = 500
"""A list that is longer helps nobody."""


def complete(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names that go on so, in the namespace and context that were typed before; none at any trouble."""
    said = {name: ctx.params.get(name) for name in ("namespace", "context")}
    asked = [f"--{name}={value}" for name, value in said.items() if isinstance(value, str)]
    asked += ["--everywhere"] if ctx.params.get("everywhere") else []
    try:
        answer = subprocess.run(  # noqa: S603  this program, with what was typed as values of options
            [sys.executable, "-m", __name__, *asked],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            text=True,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []
    return [name for name in answer.stdout.split() if name.startswith(incomplete)]


async def _print(namespace: str | None, context: str | None, *, everywhere: bool) -> None:
    from workerpool_operator.kube import ClusterAccess, Kube, kinds  # noqa: PLC0415  it takes a second

    access = await ClusterAccess.find(context=context)
    async with Kube(access) as kube:
        where = None if everywhere else namespace or access.namespace
        names = [pool["metadata"]["name"] async for pool in kube.list(kinds.WORKER_POOL, namespace=where)]
    sys.stdout.write("".join(f"{name}\n" for name in sorted(set(names))[:MOST]))


def main() -> None:
    """The process: names on its standard output, one on each line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--namespace")
    parser.add_argument("--context")
    parser.add_argument("--everywhere", action="store_true")
    asked = parser.parse_args()
    asyncio.run(_print(asked.namespace, asked.context, everywhere=asked.everywhere))


if __name__ == "__main__":
    main()
