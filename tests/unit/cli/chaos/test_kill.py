"""Killing from within, where an image lacks what it takes."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from workerpool_operator.cli.chaos.hands import kill
from workerpool_operator.cli.chaos.hands.ground import Ground, Json
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.look.remote import RemoteError

RUNC = 'exec failed: unable to start container process: exec: "{}": executable file not found in $PATH'
CRUN = "executable file `{}` not found in $PATH: No such file or directory"


def pod(restarts: int = 0) -> Json:
    """A broker's."""
    return {
        "metadata": {"name": "redis-0", "namespace": "media", "uid": "u1"},
        "spec": {"containers": [{"name": "redis", "ports": [{"containerPort": 6379}]}]},
        "status": {"containerStatuses": [{"restartCount": restarts, "state": {"running": {}}}]},
    }


class Runtime:
    """Has some programs, and says of others that it has not; the one that sets the limit kills."""

    def __init__(self, *programs: str, words: str) -> None:
        self.asked: list[str] = []
        self._programs = programs
        self._words = words
        self._restarts = 0

    async def run_in(self, _access: Any, _target: Any, command: Sequence[str], *, seconds: float) -> str:
        del seconds
        self.asked.append(command[0])
        if command[0] not in self._programs:
            raise RemoteError(self._words.format(command[0]))
        self._restarts += 1
        return ""

    async def get(self, _ref: Any) -> Json:
        """The pod as it is now."""
        return pod(self._restarts)


async def killed(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill it."""
    monkeypatch.setattr(kill, "run_in", runtime.run_in)
    ground: Any = SimpleNamespace(access=None, kube=runtime)

    async def found(_ground: Ground) -> list[Json]:
        return [pod()]

    await kill.KilledProcesses(ground, found, what="pod of the broker", workers=False).strike()


@pytest.mark.parametrize("words", [RUNC, CRUN])
async def test_an_image_without_python_is_killed_by_its_limit(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which a program of util-linux sets."""
    runtime = Runtime("prlimit", words=words)
    await killed(runtime, monkeypatch)
    assert runtime.asked == ["python", "prlimit"]


@pytest.mark.parametrize("words", [RUNC, CRUN])
async def test_an_image_with_neither_is_told_at_once(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it lacks, and nothing is waited for."""
    with pytest.raises(TroubleError, match=r"redis-0 could not be killed .* neither Python nor prlimit"):
        await killed(Runtime(words=words), monkeypatch)


async def test_an_image_with_python_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other way is for those without."""
    runtime = Runtime("python", "prlimit", words=RUNC)
    await killed(runtime, monkeypatch)
    assert runtime.asked == ["python"]


def test_other_trouble_is_not_taken_for_a_missing_program() -> None:
    """Such as a connection that ended, which is what is told where it worked."""
    assert not kill.is_not_there("pod media/redis-0: the connection ended before the command did")
