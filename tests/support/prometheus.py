"""A real Prometheus of this machine that has seen a past that a test describes."""

import contextlib
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster.api import wait_until
from e2e.cluster.ports import free_port


@contextlib.contextmanager
def prometheus_with(exported: Iterable[str], folder: Path) -> Iterator[str]:
    """Its address. `exported`: lines of OpenMetrics with times; `folder` takes its files.

    Without Prometheus the test is skipped, but under CI, where a skip would go unseen.
    """
    _there()
    text = folder / "exported"
    text.write_text("\n".join(exported) + "\n")
    make = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")]
    subprocess.run(make, check=True, capture_output=True)
    with _running(folder, "{}\n") as url:
        yield url


@contextlib.contextmanager
def prometheus_that_scrapes(configuration: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Its address; skipped as above where there is none."""
    _there()
    with _running(folder, yaml.safe_dump(configuration)) as url:
        yield url


def _there() -> None:
    if not (shutil.which("promtool") and shutil.which("prometheus")):
        message = "prometheus is needed: install the package prometheus (scripts/setup.sh promtool)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


@contextlib.contextmanager
def _running(folder: Path, configuration: str) -> Iterator[str]:
    settings, data, port = folder / "prometheus.yml", folder / "data", free_port()
    settings.write_text(configuration)
    arguments = [
        f"--config.file={settings}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _ready(url), seconds=60, what="Prometheus")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False
