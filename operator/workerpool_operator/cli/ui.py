"""`wpool ui`: the page, served on this machine."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from workerpool_operator.cli import cluster
from workerpool_operator.cli.cluster import TroubleError, asked
from workerpool_operator.cli.terminal import Console

if TYPE_CHECKING:
    from workerpool_operator.kube import ClusterAccess

HELP: Final = """Show pools in a browser, live: all of them, one with charts and log, budgets, cost.

It serves on 127.0.0.1 only, and asks the cluster with your own rights, as kubectl does; what you may not see is left
out and said. While the API server does not answer, page and terminal say so, and the page goes on by itself. The link
is good once, for one browser; Enter prints another one. Ctrl-C ends it.

Exit codes: 0 ended by you; 2 wrong usage; 3 there is no cluster to ask, no such namespace, or the port is
taken.
"""
EPILOG: Final = """**Examples**

    wpool ui

    wpool ui --namespace media --port 8800 --no-browser

    wpool ui --prometheus http://127.0.0.1:9090
"""


def ui(  # noqa: D103  typer: the help text is HELP, and options are arguments
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace",
            "-n",
            callback=cluster.named,
            help="Pools of this namespace only; all by default.",
            show_default=False,
        ),
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
        from workerpool_operator.ui.browse import browsed  # noqa: PLC0415  see cluster.asked
        from workerpool_operator.ui.server import served  # noqa: PLC0415

        def tell(trouble: str) -> None:
            said = f"wpool ui: {access.server}: {trouble or 'The API server answers again.'}"
            Console(stderr=True).print(said, style="yellow", highlight=False, markup=False, soft_wrap=True)

        if namespace is not None:
            await cluster.expect_namespace(access, namespace)
        async with contextlib.AsyncExitStack() as stack:
            ended = await stack.enter_async_context(_told_to_end())
            page = served(access, namespace=namespace, port=port, prometheus=prometheus, tell=tell)
            try:
                guard = await stack.enter_async_context(page)
            except OSError as error:
                raise TroubleError(f"port {port} of 127.0.0.1 cannot be had: {error.strerror or error}") from None
            typer.echo(f"{guard.link}\n\nThe link is good once. Enter prints another one, Ctrl-C ends.")
            if browser:
                await stack.enter_async_context(browsed(guard))
            with _on_enter(lambda: typer.echo(guard.new_link())):
                await ended.wait()

    asked("ui", serve, context=context)


@contextlib.asynccontextmanager
async def _told_to_end() -> AsyncIterator[asyncio.Event]:
    """Set by Ctrl-C, or SIGTERM."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def _on_enter(call: Callable[[], None]) -> Iterator[None]:
    """Call it for each line that a person types."""
    loop, typed = asyncio.get_running_loop(), sys.stdin

    def take() -> None:
        if typed.readline():
            call()
        else:
            loop.remove_reader(typed)

    by_hand = typed is not None and typed.isatty()
    if by_hand:
        loop.add_reader(typed, take)
    try:
        yield
    finally:
        if by_hand:
            loop.remove_reader(typed)
