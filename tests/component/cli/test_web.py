"""What is said of a server beside the cluster that hangs, breaks off or talks nonsense: a sentence."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.web import Server

pytestmark = pytest.mark.component

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
WAYS = {
    "breaks off in the middle": HEAD + '{"data": ',
    "speaks no HTTP": "220 mail.example ESMTP\r\n",
    "says no JSON": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "says nothing": "",
}


@contextmanager
def saying(text: str, *, hold: threading.Event | None = None) -> Iterator[str]:
    """Its address. It says this to the first who comes; with `hold` it goes no sooner than that is set."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(text.encode())
            if hold is not None:
                hold.wait(60)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        if hold is not None:
            hold.set()
        thread.join()
        listener.close()


def server(address: str, *, seconds: float = 30.0) -> Server:
    return Server(address=address, kind="a Prometheus", option="--prometheus", timeout_seconds=seconds)


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS.keys())
def test_what_is_no_answer(text: str) -> None:
    with (
        saying(text) as address,
        pytest.raises(TroubleError, match=r"cannot be asked: .* Give its address with --prom"),
    ):
        server(address).ask("api/v1/query")


def test_one_that_hangs_in_the_middle() -> None:
    """It is given up after its time."""
    with (
        saying(HEAD + "{", hold=threading.Event()) as address,
        pytest.raises(TroubleError, match=r"cannot be asked: .*timed out"),
    ):
        server(address, seconds=0.3).ask("api/v1/query")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"error": "bad query"}', "bad query"),
        ('"bad matcher"', "bad matcher"),
        ("no", "no"),
        ("", "it does not say why"),
    ],
)
def test_a_refusal_says_why(body: str, why: str) -> None:
    """As Prometheus writes it, as Alertmanager does, and as a proxy before either."""
    text = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with saying(text) as address, pytest.raises(TroubleError, match=f"refuses: 400 Bad Request; {why}$"):
        server(address).ask("api/v1/query")


def test_an_empty_answer_is_one() -> None:
    with saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as address:
        assert server(address).ask("api/v2/silence/1", method="DELETE") is None
