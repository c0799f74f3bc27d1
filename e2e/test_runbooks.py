"""The commands of the runbooks, typed as whoever is on call would, on a real pool one of whose workers has died."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from e2e.processes import kill_worker
from e2e.scene import Scene, restarts
from e2e.support.images import ROOT
from e2e.support.stack import NAMESPACE
from e2e.support.wait import wait_for

RUNBOOKS: Final = ROOT / "docs" / "runbooks"
POOL: Final = "on-call"
SECONDS: Final = 90
ENDLESS: Final = " --watch"
"""What goes on until it is stopped is stopped."""
ELSEWHERE: Final = {
    r"prometheus": "wants the prometheus-operator's kinds",
    r"^kubectl .* top ": "wants the metrics-server",
    r"^wpool (cost|report) ": "wants a Prometheus: e2e/test_alerts.py types them",
}
"""Pattern -> why a command cannot succeed on the cluster of these tests."""
_BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Line:
    """A command, and the first page that it is on."""

    page: str
    text: str


def lines() -> Iterator[Line]:
    """Each once, without its remark."""
    seen = set()
    for page in sorted(RUNBOOKS.glob("*.md")):
        for block in _BLOCK.findall(page.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                text = re.sub(r"\s+#.*", "", line).strip()
                if text and text not in seen:
                    seen.add(text)
                    yield Line(page.name, text)


@pytest.fixture
def worker(scene: Scene) -> str:
    """Name of one of the pool's two, that has been started twice."""
    scene.apply(POOL, scaling={"mode": "hpa", "minReplicas": 2, "maxReplicas": 3})
    [pod, *_] = scene.wait_workers(POOL, 2, seconds=120).values()
    kill_worker(scene, pod)
    uid = pod["metadata"]["uid"]
    wait_for(
        lambda: restarts([found] if (found := scene.workers(POOL).get(uid)) else []),
        seconds=60,
        what="the killed worker again",
    )
    return str(pod["metadata"]["name"])


@pytest.mark.timeout(900)
def test_the_commands_of_the_runbooks_say_something(scene: Scene, worker: str, tmp_path: Path) -> None:
    """None is refused: neither for what it is called, nor for what it asks about."""
    found = [line for line in lines() if not any(re.search(pattern, line.text) for pattern in ELSEWHERE)]
    assert len(found) > 30
    env = dict(scene.kubectl.environment) | {"NO_COLOR": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    failed = {}
    for line in found:
        text = _filled(line.text, scene, worker)
        end = ["timeout", "--preserve-status", "--signal=INT", "8"] if ENDLESS in text else []
        done = subprocess.run(
            [*end, "bash", "-o", "pipefail", "-c", text],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        if not (_fine(done) or (end and done.returncode in {130, 143, 137})):
            failed[f"{line.page}: {text}"] = (done.returncode, done.stdout[-300:], done.stderr[-600:])
    assert failed == {}
    print(f"{len(found)} commands typed")


def _filled(text: str, scene: Scene, worker: str) -> str:
    values = {"NAMESPACE": scene.namespace, "POOL": POOL, "POD": worker, "workerpool-system": NAMESPACE}
    return re.sub(r"\b(NAMESPACE|POOL|POD|workerpool-system)\b", lambda found: values[found[1]], text)


def _fine(done: subprocess.CompletedProcess[str]) -> bool:
    """1 without an error is an answer: nothing was found."""
    return done.returncode == 0 or (done.returncode == 1 and "rror" not in done.stderr)
