"""The command `wpool ui`."""

import asyncio
import os
import signal
import socket
import stat
import sys
import urllib.parse
from pathlib import Path

import aiohttp
import pytest

from e2e.cluster.controlplane import ControlPlane
from tests.support.attacks import attack
from tests.support.waiting import until

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


BROWSER = """#!/bin/sh
# Plays a browser: keeps what it was started with, and opens nothing.
printf '%s\\n' "$@" > {told}.new && mv {told}.new {told}
"""


async def wpool_ui(
    *words: str, kubeconfig: Path, browser: str = "--no-browser", **env: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workerpool_operator.cli", "ui", browser, *words),
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONUNBUFFERED": "1", **env},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_prints_the_link_and_ends_when_told(plane: ControlPlane, number: signal.Signals) -> None:
    """On this machine's own address."""
    process = await wpool_ui(kubeconfig=plane.kubeconfig)
    assert process.stdout is not None
    link = (await process.stdout.readline()).decode()
    assert link.startswith("http://127.0.0.1:")
    assert "/login?token=" in link
    process.send_signal(number)
    _, said = await process.communicate()
    assert (process.returncode, said.decode()) == (0, "")


@attack(
    "the link to the page, read from the arguments of the browser that is started",
    stopped_by="the browser is told a file that its user alone can read, and that is gone once it was used",
)
@pytest.mark.parametrize("used", [True, False], ids=["used", "not used"])
async def test_the_browser_is_not_told_the_link_for_all_to_see(
    *, plane: ControlPlane, tmp_path: Path, used: bool
) -> None:
    """Every user of the machine can read what programs are started with."""
    told, program, files = tmp_path / "told", tmp_path / "browser", tmp_path / "files"
    files.mkdir()
    program.write_text(BROWSER.format(told=told))
    program.chmod(0o700)
    process = await wpool_ui(
        kubeconfig=plane.kubeconfig, browser="--browser", BROWSER=f"{program} %s", TMPDIR=str(files)
    )
    assert process.stdout is not None
    link = (await process.stdout.readline()).decode().strip()
    await until(told.is_file, what="the browser is started")
    (url,) = told.read_text().split()
    token = link.partition("token=")[2]
    assert token not in url
    file = Path(urllib.parse.urlsplit(url).path)
    assert [stat.S_IMODE((await asyncio.to_thread(one.stat)).st_mode) for one in (file, file.parent)] == [0o600, 0o700]
    assert f'content="0; url={link}"' in await asyncio.to_thread(file.read_text, "utf-8")
    if used:
        async with aiohttp.ClientSession() as session, session.get(link) as answer:
            assert answer.status == 200
        await until(lambda: not file.exists(), what="the file goes with the link")
    process.terminate()
    await process.communicate()
    assert list(files.iterdir()) == []


async def test_what_cannot_be_is_said(plane: ControlPlane, tmp_path: Path) -> None:
    """A port that is taken; no cluster to ask."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = await wpool_ui("--port", port, kubeconfig=plane.kubeconfig)
        _, said = await process.communicate()
    assert process.returncode == 3
    assert f"port {port} of 127.0.0.1 cannot be had" in " ".join(said.decode().split())
    process = await wpool_ui(kubeconfig=tmp_path / "missing")
    _, said = await process.communicate()
    assert process.returncode == 3
    assert "Traceback" not in said.decode()


async def test_without_an_api_server_the_page_waits_for_it(plane: ControlPlane, tmp_path: Path) -> None:
    """It begins all the same, since the page goes on by itself; and says so where it runs."""
    away = tmp_path / "kubeconfig"
    text = await asyncio.to_thread(plane.kubeconfig.read_text, "utf-8")
    await asyncio.to_thread(away.write_text, text.replace(plane.url, "https://127.0.0.1:9"), "utf-8")
    process = await wpool_ui(kubeconfig=away)
    assert process.stdout is not None
    assert process.stderr is not None
    assert (await process.stdout.readline()).startswith(b"http://127.0.0.1:")
    said = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
    assert said.startswith("wpool ui: https://127.0.0.1:9: The API server does not answer.")
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


async def test_a_namespace_that_there_is_none_of(plane: ControlPlane) -> None:
    """An empty table would look as if it had no pools."""
    process = await wpool_ui("--namespace", "nosuch", kubeconfig=plane.kubeconfig)
    _, said = await process.communicate()
    assert process.returncode == 3
    assert "there is no namespace nosuch" in " ".join(said.decode().split())
