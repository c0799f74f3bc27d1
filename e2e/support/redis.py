"""Redis in the cluster, and a way to it from this machine."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from queue import Empty, Queue

import yaml

from e2e.support.images import ROOT
from e2e.support.kubectl import Json, Kubectl, KubectlError
from e2e.support.wait import wait_for

NAME = "redis"
PORT = 6379
_READY_SECONDS = 120.0
_FORWARD_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Redis:
    """A Redis in a namespace of the cluster."""

    kubectl: Kubectl
    namespace: str

    @property
    def url(self) -> str:
        """Its address for pods of any namespace."""
        return f"redis://{NAME}.{self.namespace}.svc:{PORT}/0"

    @contextlib.contextmanager
    def forwarded(self) -> Iterator[str]:
        """Give an address for this machine, for as long as the context lasts.

        It goes through the API server, so it is the same on each provider and passes any NetworkPolicy. A broken
        forward is taken up again on the same port; who uses it meanwhile sees refused connections.
        """
        forward = _Forward(self.kubectl, self.namespace)
        try:
            forward.start()
            yield f"redis://127.0.0.1:{forward.port}/0"
        finally:
            forward.stop()

    def cli(self, *arguments: str) -> str:
        """Run redis-cli in its pod, and give what it prints."""
        where = f"--namespace={self.namespace}"
        return self.kubectl.run("exec", f"deployment/{NAME}", where, "--", "redis-cli", *arguments)


def deploy(kubectl: Kubectl, namespace: str, *, image: str, node: str = "") -> Redis:
    """Put a Redis into the namespace, on a certain node if that matters, and wait until it answers."""
    kubectl.apply(*manifests(namespace, image=image, node=node))
    kubectl.rollout(f"deployment/{NAME}", namespace=namespace, seconds=_READY_SECONDS)
    return Redis(kubectl=kubectl, namespace=namespace)


def manifests(namespace: str, *, image: str, node: str = "") -> list[Json]:
    """Give Deployment and Service of the Redis in ``examples/first-pool.yaml``, here and with this image."""
    documents = yaml.safe_load_all((ROOT / "examples" / "first-pool.yaml").read_text())
    found = [document for document in documents if document["metadata"]["name"] == NAME]
    for each in found:
        each["metadata"]["namespace"] = namespace
        if each["kind"] == "Deployment":
            pod = each["spec"]["template"]["spec"]
            pod["containers"][0]["image"] = image
            pod["nodeSelector"] = {"kubernetes.io/hostname": node} if node else {}
    return found


class _Forward:
    """A port-forward that is started again when it ends."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.port = 0
        self._kubectl = kubectl
        self._namespace = namespace
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="port-forward", daemon=True)

    def start(self) -> None:
        """Open it, and wait until it answers."""
        self._open()
        wait_for(self._answers, seconds=_FORWARD_SECONDS, what="port-forward to Redis", pause=0.05)
        self._keeper.start()

    def stop(self) -> None:
        """Close it."""
        self._stopping.set()
        self._end()
        if self._keeper.is_alive():
            self._keeper.join(timeout=5)

    def _open(self) -> None:
        local = str(self.port) if self.port else ""
        where = f"--namespace={self._namespace}"
        self._process = self._kubectl.start("port-forward", f"service/{NAME}", f"{local}:{PORT}", where)
        said = _lines(self._process)
        try:
            first = said.get(timeout=_FORWARD_SECONDS)
        except Empty:
            first = "no answer"
        found = re.search(r"127\.0\.0\.1:(\d+)", first)
        if not found:
            self._end()
            raise KubectlError(f"kubectl port-forward to Redis failed: {first.strip()}")
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

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


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
