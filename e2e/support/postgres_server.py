"""A PostgreSQL server of one's own, on a free port of this machine."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from e2e.cluster.ports import free_port

_START_SECONDS: Final = 60.0


class PostgresServer:
    """Runs from `with` to its end. Its data stay in the folder over a restart.

    Attributes:
        port: Where it listens, the same over restarts.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] | None = None, *, hba: str = "") -> None:
        """`settings`: of postgresql.conf, beside what makes it quick. `hba`: pg_hba.conf; by default all are trusted.

        The folder must be one that PostgreSQL's user may enter.
        """
        self.port = free_port()
        self._folder = folder
        self._settings = {"fsync": "off", "max_connections": "100", **(settings or {})}
        self._hba = hba
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_there() -> bool:
        """Whether this machine has a PostgreSQL server."""
        return _program() is not None

    @property
    def address(self) -> str:
        """Of the database, as drivers take it."""
        return f"postgresql://test@127.0.0.1:{self.port}/postgres"

    @property
    def url(self) -> str:
        """As a queue's URL."""
        return f"{self.address}?sslmode=disable"

    @property
    def data(self) -> Path:
        """Where it keeps everything."""
        return self._folder / "data"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.chown(self._folder, self._user)
        if not self.data.exists():
            make = ["initdb", "-D", str(self.data), "-U", "test", "--auth=trust", "--no-sync"]
            self._run(make)
        if self._hba:
            (self.data / "pg_hba.conf").write_text(self._hba)
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Return when it answers."""
        program = str(self._tools / "postgres")
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        serve = [program, "-D", str(self.data), "-p", str(self.port), "-k", str(self._folder), *options]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(serve, user=self._user, cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run(self._ready, check=False, stdout=subprocess.DEVNULL).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """Without waiting for its clients to leave."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to all of its processes: it recovers from its log at the next start."""
        self._signal_all(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(timeout=60)
        self._process = None

    def pause(self) -> None:
        """It hangs: connections stand, and nobody answers. The server's processes, and those of its clients."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `pause`."""
        self._signal_all(signal.SIGCONT)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """Run it, and return its rows."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        found = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for process in (self._process.pid, *map(int, found.split())):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=60)
            self._process = None

    def _run(self, command: list[str]) -> None:
        command = [str(self._tools / command[0]), *command[1:]]
        subprocess.run(
            command, user=self._user, cwd=self._folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @property
    def _ready(self) -> list[str]:
        return [str(self._tools / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]

    @property
    def _tools(self) -> Path:
        program = _program()
        assert program is not None
        return program.resolve().parent

    @property
    def _user(self) -> str:
        """PostgreSQL refuses to run as root."""
        return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def _program() -> Path | None:
    """Debian keeps it out of everybody's path."""
    found = shutil.which("postgres")
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return Path(found) if found else known[-1] if known else None
