"""A port that is open before anything else is loaded.

Kubelet asks for readiness once, some hundredths of a second after it has started the container, and where nobody
listens then, not before a period later. Who connects to a port that listens waits for its answer. So a worker listens
first, with nothing loaded but the module in C beneath `socket`, which alone takes a fifth of its time, and answers
when it can.
"""

import _socket

_WAITING_CONNECTIONS = 64


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
    except OSError:
        return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    both.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
    return both
