"""A real PostgreSQL for component tests, one server per test run; tests that need it are skipped without one."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from e2e.cluster.ports import free_port


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a database of its own, as drivers take it."""
    program = shutil.which("postgres")
    if program is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    tools = Path(program).resolve().parent
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        data, port = Path(folder) / "data", free_port()
        shutil.chown(folder, user)
        make = [str(tools / "initdb"), "-D", str(data), "-U", "test", "--auth=trust", "--no-sync"]
        subprocess.run(make, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        serve = [program, "-D", str(data), "-p", str(port), "-k", folder, "-c", "fsync=off"]
        process = subprocess.Popen(serve, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"postgresql://test@127.0.0.1:{port}/postgres"
        try:
            _wait(address, process)
            yield address
        finally:
            process.send_signal(signal.SIGINT)  # does not wait for clients to leave
            process.wait(timeout=20)


def _wait(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(address, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail("PostgreSQL does not start")
            time.sleep(0.02)
        else:
            return
