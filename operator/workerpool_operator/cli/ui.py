"""`wpool ui`: the page, served on this machine."""

import asyncio
import contextlib
import signal
import sys
import webbrowser
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import TroubleError, asked

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Show pools in a browser, live: all of them, one with charts and log, budgets, cost.

It serves on 127.0.0.1 only, and asks the cluster with your own rights, as kubectl does; what you may not see is left
out and said. The link is good once, for one browser; Enter prints another one. Ctrl-C ends it.

Exit codes: 0 ended by you; 2 wrong usage; 3 there is no cluster to ask, or the port is taken.
"""
EPILOG: Final = """**Examples**

    wpool ui

    wpool ui --namespace media --port 8800 --no-browser

    wpool ui --prometheus http://127.0.0.1:9090
"""


def ui(  # noqa: D103  typer: the help text is HELP, and options are arguments
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Pools of this namespace only; all by default.", show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0: a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in your browser.")] = True,
    prometheus: Annotated[
        str,
        typer.Option(
            envvar="WPOOL_PROMETHEUS", help="For the cost, such as http://127.0.0.1:9090.", show_default=False
        ),
    ] = "",
    context: cluster.Context = None,
) -> None:
    async def serve(access: "ClusterAccess") -> None:
        from workerpool_operator.ui.server import served  # noqa: PLC0415  see cluster.asked

        try:
            async with served(access, namespace=namespace, port=port, prometheus=prometheus) as guard:
                typer.echo(f"{guard.link}\n\nThe link is good once. Enter prints another one, Ctrl-C ends.")
                if browser:
                    await asyncio.to_thread(webbrowser.open, guard.link)
                await _until_ended(lambda: typer.echo(guard.new_link()))
        except OSError as error:
            raise TroubleError(f"port {port} of 127.0.0.1 cannot be had: {error.strerror or error}") from None

    asked("ui", serve, context=context)


async def _until_ended(enter: "object") -> None:
    """Ctrl-C, or SIGTERM. Calls `enter` for each line typed."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        if sys.stdin is not None and sys.stdin.isatty():
            loop.add_reader(sys.stdin, lambda: (sys.stdin.readline(), enter()))  # type: ignore[operator]
        await ended.wait()
    finally:
        with contextlib.suppress(ValueError, OSError):
            loop.remove_reader(sys.stdin)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
