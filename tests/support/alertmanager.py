"""A real Alertmanager, as Debian has it."""

import contextlib
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from e2e.cluster.api import wait_until
from e2e.cluster.ports import free_port

NOBODY: Final = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
"""Settings by which it tells nobody."""


@contextlib.contextmanager
def alertmanager_in(folder: Path, *, settings: str = NOBODY) -> Iterator[str]:
    """Its address; what it keeps is in the folder. Skips where there is none, and fails under CI."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        message = "Alertmanager is needed: install prometheus-alertmanager (scripts/setup.sh promtool)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    file, port = folder / "alertmanager.yml", free_port()
    file.write_text(settings)
    arguments = [
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _ready(url), seconds=60, what="Alertmanager")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=2):
        return True
    return False
