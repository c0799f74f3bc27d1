"""`python -m e2e.faults.inject`: the proxy alone, in front of a cluster that is there.

It writes a kubeconfig that leads through it, and can end a process after its nth write.
"""

import argparse
import asyncio
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

from e2e.faults.inject import Answer, Delay, Fault, FaultProxy, Match, Upstream, Write


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m e2e.faults.inject", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of the real API server")
    parser.add_argument("--write-kubeconfig", type=Path, required=True, help="where to write the one for the client")
    parser.add_argument("--port", type=int, default=0, help="on loopback; a free one by default")
    parser.add_argument("--token", default="", help="that the client shall use; else the kubeconfig's certificate")
    parser.add_argument("--path", default="", help="regular expression: which requests the fault is for")
    parser.add_argument("--status", type=int, help="answer with this status")
    parser.add_argument("--delay", type=float, help="wait so many seconds before each request")
    parser.add_argument("--kill-pid", type=int, help="process to end by SIGKILL")
    parser.add_argument("--after-write", type=int, help="number of the write after whose execution it is ended")
    arguments = parser.parse_args()
    if (arguments.kill_pid is None) != (arguments.after_write is None):
        parser.error("--kill-pid and --after-write belong together")
    re.compile(arguments.path)
    return arguments


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


async def _run(arguments: argparse.Namespace) -> None:
    async with FaultProxy(await Upstream.from_kubeconfig(arguments.kubeconfig), port=arguments.port) as proxy:
        proxy.write_kubeconfig(arguments.write_kubeconfig, token=arguments.token)
        faults: list[Fault] = []
        if arguments.status:
            faults.append(Answer(arguments.status))
        if arguments.delay:
            faults.append(Delay(arguments.delay))
        for fault in faults:
            proxy.fault(Match(path=arguments.path), fault)
        if arguments.after_write:

            def end(write: Write) -> None:
                print(f"ending {arguments.kill_pid} after write {write.number}", flush=True)
                _end(arguments.kill_pid)

            proxy.writes.arm(arguments.after_write, end)
        print(f"{proxy.url} (kubeconfig: {arguments.write_kubeconfig}); Ctrl-C ends it", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_run(_arguments()))
    sys.exit(0)
