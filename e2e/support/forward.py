"""A way from this machine to a Service in the cluster, by kubectl's port-forward.

It goes through the API server, so it is the same on each provider and passes any NetworkPolicy.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from queue import Empty, Queue

from e2e.support.kubectl import Kubectl, KubectlError
from e2e.support.wait import wait_for

_SECONDS = 60.0


def speaks_http(port: int) -> bool:
    """Whether somebody answers there in HTTP, whatever they say."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    else:
        return True
    finally:
        connection.close()


@contextlib.contextmanager
def forwarded(
    kubectl: Kubectl,
    service: str,
    port: int,
    *,
    namespace: str,
    answers: Callable[[int], bool] = speaks_http,
) -> Iterator[int]:
    """Give a port of 127.0.0.1 for as long as the context lasts, once `answers` says so of it.

    A forward that breaks is taken up again on the same port; who uses it meanwhile sees refused connections.
    """
    forward = _Forward(kubectl, service, port, namespace)
    try:
        forward.start(answers)
        yield forward.port
    finally:
        forward.stop()


class _Forward:
    """A port-forward that is started again when it ends."""

    def __init__(self, kubectl: Kubectl, service: str, port: int, namespace: str) -> None:
        self.port = 0
        self._kubectl = kubectl
        self._target = (f"service/{service}", port, f"--namespace={namespace}")
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="port-forward", daemon=True)

    def start(self, answers: Callable[[int], bool]) -> None:
        """Open it, and wait until it answers."""
        self._open()
        what = f"port-forward to {self._target[0]}"
        self._keeper.start()  # one that breaks at its first use is taken up again, too
        wait_for(lambda: answers(self.port), seconds=_SECONDS, what=what, pause=0.05)

    def stop(self) -> None:
        """Close it."""
        self._stopping.set()
        self._end()
        if self._keeper.is_alive():
            self._keeper.join(timeout=5)

    def _open(self) -> None:
        service, port, where = self._target
        self._process = self._kubectl.start("port-forward", service, f"{self.port or ''}:{port}", where)
        said = _lines(self._process)
        try:
            first = said.get(timeout=_SECONDS)
        except Empty:
            first = "no answer"
        found = re.search(r"127\.0\.0\.1:(\d+)", first)
        if not found:
            self._end()
            raise KubectlError(f"kubectl port-forward to {service} failed: {first.strip()}")
        self.port = int(found[1])

    def _keep(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            if process is None or process.poll() is not None:
                with contextlib.suppress(KubectlError):
                    self._open()
            self._stopping.wait(0.5)

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _lines(process: subprocess.Popen[str]) -> Queue[str]:
    """Read what a process says, so that its pipe never fills up."""
    lines: Queue[str] = Queue()

    def read() -> None:
        assert process.stdout
        with process.stdout as said:
            for line in said:
                lines.put(line)
        lines.put("it ended")

    threading.Thread(target=read, name="port-forward-output", daemon=True).start()
    return lines
