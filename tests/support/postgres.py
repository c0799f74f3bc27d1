"""A real PostgreSQL for component tests; tests that need it are skipped without one.

`postgres_server` is one server per test run; tests share it and use queues of their own. A test that stops, restarts or
configures its server starts its own: `with PostgresServer(postgres_folder)`.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.postgres_server import PostgresServer

__all__ = ["PostgresServer", "postgres", "postgres_folder", "postgres_server"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The run's own PostgreSQL; do not stop or configure it."""
    with _folder() as folder, PostgresServer(folder) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(postgres_server: PostgresServer) -> str:
    """The address of a database of its own, as drivers take it."""
    return postgres_server.address


@pytest.fixture
def postgres_folder() -> Iterator[Path]:
    """For a server of the test's own: not below pytest's own folders, which PostgreSQL's user may not enter."""
    with _folder() as folder:
        yield folder


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    if not PostgresServer.is_there():
        pytest.skip("there is no PostgreSQL server on this machine")
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
