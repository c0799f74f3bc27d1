"""What a worker does before anything else is loaded: it heeds SIGTERM, and opens its port.

Kubelet asks for readiness once, some hundredths of a second after it has started the container, and where nobody
listens then, not before a period later. Who connects to a port that listens waits for its answer. So a worker listens
first, and answers when it can. All this needs are the modules in C beneath `socket` and `signal`, which load in a fifth
of their time.
"""

import _signal  # type: ignore[import-not-found]  # typeshed leaves it out
import _socket
import os

_WAITING_CONNECTIONS = 64


def leave_at_sigterm() -> None:
    """SIGTERM ends the process, until `runtime.signals` takes over. For the main thread."""
    _signal.signal(_signal.SIGTERM, lambda _number, _frame: os._exit(0))


def listen(port: int) -> _socket.socket:
    """Listen on all addresses, of both families where there are two; 0 chooses a free port.

    Raises:
        OSError: the port is taken.
    """
    listener = _unbound()
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind(("", port))
        listener.listen(_WAITING_CONNECTIONS)
    except OSError:
        listener.close()
        raise
    return listener


def _unbound() -> _socket.socket:
    try:
        both = _socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM)
        both.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
    except OSError:
        return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    return both
