"""What `wpool chaos` runs inside of containers, run for real: a first process, a full volume, a lock in PostgreSQL."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.support.postgres_server import PostgresServer
from e2e.support.wait import wait_for
from workerpool_operator.cli.chaos.hands.kill import BY_LIMIT
from workerpool_operator.cli.chaos.inside import fill, kill, program

pytestmark = pytest.mark.component
ROOT = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nsenter"), reason="needs root, and util-linux")
SERVER = """
import asyncio, time
async def serve(reader, writer):
    await reader.readline()
    writer.write(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def words(name: str, *arguments: str) -> list[str]:
    """The program, by this Python."""
    return [sys.executable, *program(name, *arguments)[1:]]


@ROOT
def test_the_first_process_of_a_container_is_killed_from_within() -> None:
    """Where a plain SIGKILL from within does nothing, as Linux has it for the first process of a PID namespace."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen([*unshare, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        port = shell.stdout.readline().strip()
        [first] = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
        inside = ["nsenter", f"--target={first}", "--pid", "--mount"]
        subprocess.run([*inside, "sh", "-c", "kill -9 1"], check=True)
        assert shell.poll() is None
        killer = subprocess.run([*inside, *words("kill", port)], check=False, timeout=60)
        assert killer.returncode in {-signal.SIGKILL, 128 + signal.SIGKILL}, "it goes with the namespace"
        assert shell.wait(timeout=60) != 0


@ROOT
def test_without_python_a_limit_is_enough_for_one_that_works() -> None:
    """By util-linux alone; a first process that does nothing would outlive it."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    with subprocess.Popen([*unshare, sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        port = int(shell.stdout.readline())
        [first] = Path(f"/proc/{shell.pid}/task/{shell.pid}/children").read_text().split()
        subprocess.run(["nsenter", f"--target={first}", "--pid", "--mount", *BY_LIMIT], check=True)

        def ended() -> bool:
            for _ in range(200):
                kill.knock(port)
            return shell.poll() is not None

        wait_for(ended, seconds=60, what="the end of a first process with work to do")


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, with a file of somebody else on it."""
    folder = tmp_path / "volume"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    (folder / "other").write_bytes(b"\0" * 200_000)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def is_full(volume: Path) -> bool:
    return os.statvfs(volume).f_bavail == 0


@ROOT
def test_a_volume_is_full_stays_full_and_is_given_back(volume: Path) -> None:
    """Also what another one frees meanwhile is taken; and nobody has to come for the end of it."""
    done = subprocess.run(words("fill", str(volume), "10", "100"), check=True, capture_output=True, text=True)
    assert "no space left" in done.stdout
    assert is_full(volume)
    (volume / "other").unlink()
    wait_for(lambda: is_full(volume), seconds=60, what="what was freed is taken")
    wait_for(lambda: not (volume / fill.NAME).exists(), seconds=60, what="it takes itself away")
    wait_for(lambda: not is_full(volume), seconds=60, what="room again: a name is gone before what it held")


@ROOT
def test_a_volume_that_was_cleared_stays_so(volume: Path) -> None:
    """What keeps it full ends with its file."""
    subprocess.run(words("fill", str(volume), "600", "100"), check=True, capture_output=True)
    subprocess.run(words("fill", "clear", str(volume)), check=True)
    mark = f"{volume}\0".encode()

    def filled_by_none() -> bool:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                found.append(path.read_bytes())
        return not any(mark in one for one in found)

    wait_for(filled_by_none, seconds=60, what="the end of what kept it full")
    assert sorted(path.name for path in volume.iterdir()) == ["other"]


@pytest.mark.postgres
def test_a_lock_keeps_all_out_until_its_holder_is_gone(postgres_server: PostgresServer, postgres: str) -> None:
    """SIGKILL is enough: the lock is the connection's."""
    postgres_server.sql("CREATE TABLE IF NOT EXISTS wanted (id int)")
    command = words("lock", "QUEUE_MAIN", "wanted", "600")
    env = os.environ | {"QUEUE_MAIN_URL": postgres}
    reading = "SET lock_timeout = '{}'; SELECT count(*) FROM wanted"
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Exception, match="lock timeout"):
            postgres_server.sql(reading.format("200ms"))
        holder.kill()
    postgres_server.sql(reading.format("20s"))
