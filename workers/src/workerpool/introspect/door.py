"""Where a process can be asked: an abstract Unix socket, answered on a thread of its own.

So it answers while the event loop is blocked, and with a read-only file system. A process answers only those of its own
user (or root) that are in its own container: another container of the pod, or with the host's network another pod,
shares the socket's name but not the process ids, and is sent away by that.

What a process costs is a thread that waits; all else is loaded when the first question comes.
"""

import contextlib
import json
import os
import secrets
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from workerpool.introspect.subject import Subject

PREFIX: Final = "workerpool/"
_CREDENTIALS: Final = struct.Struct("3i")
_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_TURN_SECONDS: Final = 0.0005
_LONGEST_QUESTION: Final = 4096


@contextmanager
def open_door(subject: "Callable[[], Subject]") -> Iterator[None]:
    """Answer until the context ends. On systems without abstract sockets nobody can ask."""
    server = _listen()
    if server is None:
        yield
        return
    thread = threading.Thread(target=_serve, args=(server, subject), name="workerpool-introspect", daemon=True)
    thread.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)  # wakes the thread
        thread.join(_CLOSE_SECONDS)
        server.close()


class Peer(NamedTuple):
    """The process at the other end of a socket."""

    pid: int
    """0: of another container, which has process ids of its own."""
    uid: int


def peer(connection: socket.socket) -> Peer:
    """Who is at the other end, as the kernel knows it."""
    size = _CREDENTIALS.size
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return Peer(pid, uid)


def _trusted(one: Peer) -> bool:
    return one.pid != 0 and one.uid in {0, os.geteuid()}


def _listen() -> socket.socket | None:
    if sys.platform != "linux":
        return None
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Containers of one pod share these names and may have the same process ids: hence the random end.
        server.bind(f"\0{PREFIX}{os.getpid()}/{secrets.token_hex(4)}")
        server.listen(4)
    except OSError:  # nobody's job is worth less for it
        server.close()
        return None
    return server


def _serve(server: socket.socket, subject: "Callable[[], Subject]") -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            connection, _ = server.accept()
            asked = threading.Thread(
                target=_answer, args=(connection, subject), name="workerpool-introspect", daemon=True
            )
            try:
                asked.start()
            except RuntimeError:  # no more threads are to be had
                connection.close()


def _answer(connection: socket.socket, subject: "Callable[[], Subject]") -> None:
    with connection, contextlib.suppress(OSError):
        connection.settimeout(_SECONDS)
        if not _trusted(peer(connection)):
            return
        answer: dict[str, Any]
        try:
            question = json.loads(_line(connection))
            with _TURNS.short():
                from workerpool.introspect.answers import answer_to  # noqa: PLC0415  when somebody asks

                answer = answer_to(question, subject())
        except Exception as error:  # noqa: BLE001  who asks is told, and the worker goes on
            answer = {"error": f"{type(error).__name__}: {error}"}
        connection.sendall(json.dumps(answer).encode() + b"\n")


class _Turns:
    """How long a thread may keep the interpreter's lock while another one wants it.

    A handler that computes keeps it for 5 ms each time, and an answer asks for it a thousand times: each file that is
    opened or read gives it away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._usual = 0.0

    @contextmanager
    def short(self) -> Iterator[None]:
        """Keep turns short; several may want that at the same time."""
        with self._lock:
            if not self._wanted:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual, _TURN_SECONDS))
            self._wanted += 1
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                if not self._wanted:
                    sys.setswitchinterval(self._usual)


_TURNS: Final = _Turns()


def _line(connection: socket.socket) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        part = connection.recv(_LONGEST_QUESTION - len(line))
        if not part:
            raise ValueError("the question has no end")
        line += part
    return bytes(line)
