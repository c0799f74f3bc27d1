"""A rabbitmq-server of our own on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from e2e.cluster.ports import free_port, free_ports
from e2e.support.own_server import OwnServer, ServerDoesNotStart

_SCRIPTS: Final = Path("/usr/lib/rabbitmq/bin")
"""Debian's own, without the wrapper in /usr/sbin that becomes another user and writes into /var."""
_START_SECONDS: Final = 120.0
_HELLO: Final = b"AMQP\x00\x00\x09\x01"
_COOKIE: Final = "test"
"""By which nodes and tools know each other."""
_NOT_INSTALLED: Final = "rabbitmq-server is not installed: apt-get install rabbitmq-server"


class Epmd(OwnServer):
    """The daemon by which Erlang's nodes find each other; `rabbitmq-server` would start one and leave it behind."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    def start(self) -> None:
        """Start it."""
        epmd = shutil.which("epmd")
        if epmd is None:
            raise ServerDoesNotStart(_NOT_INSTALLED)
        self._launch([epmd, "-port", str(self.port), "-address", "127.0.0.1"])
        self._wait("epmd", seconds=_START_SECONDS)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class RabbitServer(OwnServer):
    """A RabbitMQ process on a free port of 127.0.0.1, with its files in `folder`; a node by itself, or of a cluster.

    Users, virtual hosts and rights are a file that the server reads as it starts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        options: Mapping[str, str] | None = None,
        tls: Mapping[str, Path] | None = None,
        plugins: Sequence[str] = (),
        epmd: Epmd | None = None,
    ) -> None:
        """`options`: lines of rabbitmq.conf. `tls`: cacertfile, certfile, keyfile; then it speaks nothing else.

        `epmd`: one that runs, and serves other nodes too; none: one that lives and dies with this server.
        """
        super().__init__(folder)
        self._options = dict(options or {})
        self._tls = dict(tls or {})
        self._plugins = plugins
        self._users: list[dict[str, Any]] = []
        self._permissions: list[dict[str, str]] = []
        self._vhosts = ["/"]
        self._epmd = epmd
        self._own_epmd = Epmd(folder)
        self.port, self._distribution_port = free_ports(2)
        self.allow("guest", "guest", tags=["administrator"])

    @property
    def url(self) -> str:
        """Its address, with the default virtual host and user."""
        return f"{'amqps' if self._tls else 'amqp'}://127.0.0.1:{self.port}"

    @property
    def node(self) -> str:
        """Its name among Erlang's nodes."""
        return f"test{self.port}@localhost"

    def allow(
        self,
        user: str,
        password: str,
        *,
        vhost: str = "/",
        only: str = ".*",
        write: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        """Before the start: there is this user, with all rights on what matches `only`, and maybe others to write."""
        if vhost not in self._vhosts:
            self._vhosts.append(vhost)
        self._users.append({"name": user, "password": password, "tags": list(tags)})
        rights = {"configure": only, "write": write or only, "read": only}
        self._permissions.append({"user": user, "vhost": vhost, **rights})

    def listen_also(self, host: str) -> None:
        """Before the start: on this address too, at the same port."""
        self._options["listeners.tcp.2"] = f"{host}:{self.port}"

    def join(self, first: RabbitServer) -> None:
        """Before the start: be a node of this one's cluster. It is running by then, and has the same `epmd`."""
        self._options |= {
            "cluster_formation.peer_discovery_backend": "classic_config",
            "cluster_formation.classic_config.nodes.1": first.node,
        }

    def start(self) -> None:
        """Start (again, on the same port and files) and wait until it answers."""
        program = _SCRIPTS / "rabbitmq-server"
        if not program.exists():
            raise ServerDoesNotStart(_NOT_INSTALLED)
        self._configure()
        if self._epmd is None:
            self._own_epmd.start()
        self._launch([program], env=self._env)
        self._wait("rabbitmq-server", seconds=_START_SECONDS)

    def ctl(self, *words: str) -> str:
        """What `rabbitmqctl` says; it takes seconds."""
        command = [str(_SCRIPTS / "rabbitmqctl"), "--quiet", *words]
        done = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"rabbitmqctl {words[0]}: {done.stderr or done.stdout}"
        return done.stdout

    @property
    def _env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self._folder),  # of the cookie
            "ERL_EPMD_PORT": str((self._epmd or self._own_epmd).port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RUNNING_UNDER_SYSTEMD": "true",  # Erlang in place of the script: then the process is the server
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "none"),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            # Idle threads of Erlang's spin for a while, which other tests feel.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _configure(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        listener = f"127.0.0.1:{self.port}"
        options = {"listeners.tcp": "none", "listeners.ssl.1": listener} if self._tls else {"listeners.tcp.1": listener}
        options |= {f"ssl_options.{name}": str(path) for name, path in self._tls.items()}
        options |= {"load_definitions": str(self._folder / "definitions.json"), "disk_free_limit.absolute": "10MB"}
        options |= self._options
        (self._folder / "rabbitmq.conf").write_text("".join(f"{name} = {value}\n" for name, value in options.items()))
        cookie = self._folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(_COOKIE)
            cookie.chmod(0o400)
        (self._folder / "plugins").write_text(f"[{','.join(self._plugins)}].\n")
        definitions = {
            "vhosts": [{"name": name} for name in self._vhosts],
            "users": self._users,
            "permissions": self._permissions,
        }
        (self._folder / "definitions.json").write_text(json.dumps(definitions))

    def _end(self, how: signal.Signals) -> None:
        super()._end(how)
        self._own_epmd.kill()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"" if self._tls else _HELLO)
                return bool(self._tls or probe.recv(8))
        except OSError:
            return False


@contextmanager
def cluster_of(folder: Path, count: int) -> Iterator[list[RabbitServer]]:
    """Nodes that are one RabbitMQ, started, and ended afterwards."""
    with ExitStack() as stack:
        epmd = stack.enter_context(Epmd(folder / "epmd"))
        nodes = [RabbitServer(folder / f"rabbitmq-{number}", epmd=epmd) for number in range(count)]
        first, *others = [stack.enter_context(_ended(node)) for node in nodes]
        first.start()
        for node in others:
            node.join(first)
        with ThreadPoolExecutor() as starting:
            list(starting.map(RabbitServer.start, others))
        yield nodes


@contextmanager
def _ended(node: RabbitServer) -> Iterator[RabbitServer]:
    try:
        yield node
    finally:
        node.kill()
