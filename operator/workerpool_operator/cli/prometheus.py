"""What the commands that read a Prometheus share: how it is named, about which pools and time, and how it is asked."""

import re
import urllib.parse
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from workerpool_operator.cli.cluster import named, pool_argument
from workerpool_operator.cli.web import Server

_WINDOW: Final = re.compile(r"[1-9][0-9]{0,3}[mhdw]")

Vector = list[tuple[dict[str, str], float]]
"""Labels and value of each series."""


def _window(text: str) -> str:
    if not _WINDOW.fullmatch(text):
        raise typer.BadParameter("write how far back as a number and m, h, d or w: such as 7d")
    return text


Pools = Annotated[
    list[str] | None,
    pool_argument("Names of pools; all by default."),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", callback=named, help="Of the pools; all by default.", show_default=False),
]
Address = Annotated[
    str,
    typer.Option("--prometheus", envvar="WPOOL_PROMETHEUS", help="Its address, such as http://127.0.0.1:9090."),
]
ADDRESS: Final = "http://127.0.0.1:9090"
Window = Annotated[str, typer.Option(callback=_window, help="How far back, such as 12h, 7d or 4w.")]
WINDOW: Final = "7d"


def ask(address: str, query: str) -> Vector:
    """An instant query.

    Raises:
        TroubleError: it cannot be reached, refuses, or what answers is no Prometheus.
    """
    server = Server(address=address, kind="a Prometheus", option="--prometheus")
    said = server.ask(f"api/v1/query?{urllib.parse.urlencode({'query': query})}")
    try:
        return [(dict(one["metric"]), float(one["value"][1])) for one in said["data"]["result"]]
    except (KeyError, TypeError, ValueError, IndexError):
        raise server.strange() from None


def selectors(pools: Sequence[str], *, namespace: str | None) -> str:
    """What stands between the braces of a query about these pools, or all."""
    names = "|".join(pool.replace(".", "[.]") for pool in pools)
    return ",".join([f'pool=~"{names}"'] * bool(pools) + [f'namespace="{namespace}"'] * bool(namespace))
