"""`python -m workerpool_operator.metrics_api FD`: answer HPAs, as the operator says on the socket FD that it left open.

Started by the operator and by nobody else. Ends when the socket does: with exit code 0 then, 1 when it cannot serve.
"""

import asyncio
import signal
import socket
import sys

import structlog

from workerpool_operator import garbage, logs
from workerpool_operator.metrics_api.messages import LINE_BYTES, Settings
from workerpool_operator.metrics_api.process import Process
from workerpool_operator.metrics_api.scheduling import run_soon

_log = structlog.get_logger(__name__)


async def _run(connection: socket.socket) -> int:
    reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_BYTES)
    try:
        first = await reader.readline()
        if not first:
            return 0
        settings = Settings.of(first)
        logs.configure(level=settings.log_level.upper())
        garbage.calm()
        run_soon()
        await Process(settings).run(reader, writer)
    except Exception as error:  # noqa: BLE001  whatever it is: the operator starts another one
        _log.exception("cannot serve the external metrics API", error=str(error))
        return 1
    finally:
        writer.close()
    return 0


def main() -> int:
    """Serve until the operator is gone. Signals to end are the operator's, which lets this process end in its turn."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)  # not for what a kubeconfig may have us start
    return asyncio.run(_run(connection))


if __name__ == "__main__":
    sys.exit(main())
