"""The programs that are run inside of containers."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from workerpool_operator.cli.chaos.inside import fill, kill, lock, program
from workerpool_operator.cli.chaos.inside.delay import DelayProxy

PROGRAMS = ("delay", "fill", "kill", "lock")


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_is_sent_as_its_text_and_fits_a_command(name: str) -> None:
    """An exec is a URL: what it holds has a limit, at the latest that of the API server's headers."""
    words = program(name, "x")
    assert (words[:2], words[3]) == (["python", "-c"], "x")
    assert len(words[2]) < 6_000
    compile(words[2], name, "exec")


@contextlib.asynccontextmanager
async def echo() -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1024):
                writer.write(data)
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
        await ended.wait()
    finally:
        server.close()


async def test_a_proxy_delays_each_piece_and_keeps_their_order() -> None:
    """Its delay changes for connections that stand."""
    loop = asyncio.get_running_loop()
    async with echo() as port:
        proxy = DelayProxy("127.0.0.1", port, delay=0.0)
        await proxy.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"at once")
        assert await reader.readexactly(7) == b"at once"
        assert proxy.delayed == 0
        proxy.delay, began = 0.1, loop.time()
        for piece in (b"1", b"2", b"3"):
            writer.write(piece)
            await asyncio.sleep(0.01)
        assert await reader.readexactly(3) == b"123"
        assert loop.time() - began >= 0.2
        assert proxy.delayed >= 2
        writer.close()
        await writer.wait_closed()
        await proxy.stop()


async def test_a_proxy_that_stops_breaks_what_is_connected() -> None:
    """So clients connect anew, the direct way."""
    async with echo() as port:
        proxy = DelayProxy("127.0.0.1", port, delay=0.0)
        await proxy.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await proxy.stop()
        with contextlib.suppress(ConnectionError):
            assert await reader.read(1) == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def test_a_folder_on_a_large_file_system_is_not_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be the node's own disk."""
    assert fill.main([str(tmp_path), "1", "0"]) == 1
    assert "which may be the node's own" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_fills_a_folder_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / fill.NAME).write_bytes(b"x")
    fill.main(["clear", str(tmp_path)])
    fill.main(["clear", str(tmp_path)])
    assert list(tmp_path.iterdir()) == []


def test_a_killer_knocks_at_ports_that_nobody_listens_on() -> None:
    kill.knock(1)


async def test_a_lock_is_held_on_a_name_and_on_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert await lock.main(["QUEUE_MAIN", "jobs; DROP TABLE jobs", "1"]) == 1
    assert "is no name of a table" in capsys.readouterr().out


def test_none_of_them_needs_the_project() -> None:
    """They are run in images that may have nothing of it."""
    for name in PROGRAMS:
        text = program(name)[2]
        assert "workerpool" not in text.replace("wpool", "")
    assert subprocess.run([sys.executable, "-c", program("fill")[2], "clear", "/nowhere"], check=False).returncode == 0
