"""Kafka's server: its jars from Maven Central, by the hashes in kafka.lock, kept in the cache.

`python -m e2e.support.kafka_jars` brings what is missing: 44 MB.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from e2e.cluster import locks, paths, progress

_LOCK: Final = Path(__file__).with_name("kafka.lock")
_CENTRAL: Final = "https://repo1.maven.org/maven2/"
_TIMEOUT_SECONDS: Final = 30.0
"""For each answer, and for each part of it: a network that lets nothing through is told of after that time."""
_AT_A_TIME: Final = 4
_OLDEST_JAVA: Final = 17


class KafkaMissingError(Exception):
    """The message says what is missing, and what to do."""


class _Jar(NamedTuple):
    digest: str
    path: str


def ensure() -> None:
    """Bring what is not in the cache yet.

    Raises:
        KafkaMissingError: no Java here, or Maven Central did not give what the lock file names.
    """
    java()
    if _folder().exists():
        return
    with locks.exclusive(paths.cache_root() / "kafka.lock", waiting_for="another download of Kafka"):
        if _folder().exists():
            return
        with (
            progress.Step("bringing Kafka's server from Maven Central, 44 MB"),
            tempfile.TemporaryDirectory(dir=paths.cache_root(), prefix="kafka-") as folder,
        ):
            _bring(Path(folder))
            # Whole or not at all; the temporary folder has to be there still when it is removed.
            shutil.copytree(folder, f"{folder}.whole")
            Path(f"{folder}.whole").rename(_folder())


def java() -> str:
    """The program; the oldest that Kafka runs on is 17."""
    found = shutil.which("java")
    if found is None:
        raise KafkaMissingError("Java is missing: apt-get install openjdk-17-jre-headless")
    said = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    version = said.partition('"')[2].partition(".")[0].partition('"')[0]
    if not version.isdecimal() or int(version) < _OLDEST_JAVA:
        raise KafkaMissingError(f"Java {version} is too old for Kafka: install {_OLDEST_JAVA} or later")
    return found


def class_path() -> str:
    """Where Java looks for Kafka; `ensure` it first."""
    return str(_folder() / "*")


def _folder() -> Path:
    return paths.cache_root() / f"kafka-{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]}"


def _bring(folder: Path) -> None:
    lines = [line.split() for line in _LOCK.read_text().splitlines() if not line.startswith("#")]
    jars = [_Jar(digest, path) for digest, path in lines]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        try:
            for jar, data in zip(jars, pool.map(_fetch, jars), strict=True):
                (folder / os.path.basename(jar.path)).write_bytes(data)  # noqa: PTH119  a path on the server
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(jar: _Jar) -> bytes:
    url = f"{_CENTRAL}{jar.path}"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  it begins with https
            data: bytes = answer.read()
    except OSError as error:
        raise KafkaMissingError(f"Kafka's server cannot be had, {url}: {error}") from error
    if hashlib.sha256(data).hexdigest() != jar.digest:
        raise KafkaMissingError(f"{url} is not what e2e/support/kafka.lock names")
    return data


if __name__ == "__main__":
    try:
        ensure()
    except KafkaMissingError as error:
        sys.exit(f"kafka: {error}")
