"""`python -m workerpool_operator.ui`: the page as a program in the cluster, without rights of its own.

It knows where the API server is and by which authority it is signed, and no more: no token is mounted.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from workerpool_operator import logs
from workerpool_operator.kube import ClusterAccess
from workerpool_operator.ui.gate import opened
from workerpool_operator.ui.visitors import Visitors

HELP: Final = """Environment: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT (every pod has them), or API_SERVER:
where the API server is; API_CA: file with the authority of its certificate; BIND_ADDRESS and HTTP_PORT: where to
serve; LOG_LEVEL: debug, info, warning or error.
"""
_CA: Final = "/etc/workerpool/ca/ca.crt"


class ConfigError(Exception):
    """What is wrong with the environment."""


def api_server(environment: Mapping[str, str]) -> str:
    """URL of the API server.

    Raises:
        ConfigError: nobody says where it is.
    """
    if said := environment.get("API_SERVER"):
        return said
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ConfigError("KUBERNETES_SERVICE_HOST is not set: this program runs in a pod; elsewhere there is wpool ui")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def authority(environment: Mapping[str, str]) -> Path:
    """File with the authority of the API server's certificate.

    Raises:
        ConfigError: there is none.
    """
    ca = Path(environment.get("API_CA", _CA))
    if not ca.is_file():
        raise ConfigError(f"{ca} is not there: it is the authority of the API server's certificate")
    return ca


async def _run(environment: Mapping[str, str], *, server: str, ca: Path) -> None:
    stop = asyncio.Event()
    for wish in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(wish, stop.set)
    visitors = Visitors(lambda token: ClusterAccess.with_token(server, token=token, ca=ca))
    bind, port = environment.get("BIND_ADDRESS", "0.0.0.0"), int(environment.get("HTTP_PORT", "8080"))  # noqa: S104
    async with opened(visitors, server=server, bind=bind, port=port) as found:
        print(f"serving on port {found}", file=sys.stderr, flush=True)  # noqa: T201  for whoever started it with 0
        await stop.wait()


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 0 then, 2 when it cannot begin."""
    if sys.argv[1:]:
        print(HELP)  # noqa: T201
        return 0 if sys.argv[1] in {"-h", "--help"} else 2
    try:
        logs.configure(level=os.environ.get("LOG_LEVEL", "info").upper())
        asyncio.run(_run(os.environ, server=api_server(os.environ), ca=authority(os.environ)))
    except (ConfigError, OSError, ValueError) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
