"""How commands change a pool: onto the state that was read, in one place."""

from pathlib import Path
from typing import Any, cast

import pytest

from workerpool_operator.cli.writing import TRIES, rewrite
from workerpool_operator.kube import Kube, ObjectRef, errors, kinds

CLI = Path(__file__).parents[3] / "operator" / "workerpool_operator" / "cli"
POOL = ObjectRef(kinds.WORKER_POOL, "media", "thumbs")
OTHERS = {
    "adopt/handover.py": 1,  # of the Deployment
    "drain/node.py": 1,  # of the node
}
"""Patches of something else, by file."""


class Server:
    """Somebody else writes the pool after each of the first so many readings."""

    def __init__(self, *, conflicts: int) -> None:
        self.version = 1
        self.written: list[tuple[Any, str | None]] = []
        self._conflicts = conflicts

    async def get(self, _: ObjectRef) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": str(self.version)}}

    async def merge_patch(self, _: ObjectRef, patch: Any, *, resource_version: str, **__: Any) -> None:
        if self._conflicts:
            self._conflicts -= 1
            self.version += 1
            raise errors.Conflict("it has changed")
        self.written.append((patch, resource_version))


def version(body: dict[str, Any]) -> dict[str, Any]:
    return {"spec": body["metadata"]["resourceVersion"]}


@pytest.mark.parametrize("conflicts", [0, 1, TRIES - 1])
async def test_what_somebody_else_has_written_meanwhile_is_read_again(conflicts: int) -> None:
    """And the change is made anew of it."""
    server = Server(conflicts=conflicts)
    await rewrite(cast("Kube", server), POOL, version)
    last = str(conflicts + 1)
    assert server.written == [({"spec": last}, last)]


async def test_it_is_not_tried_for_ever() -> None:
    server = Server(conflicts=TRIES)
    with pytest.raises(errors.Conflict):
        await rewrite(cast("Kube", server), POOL, version)
    assert server.written == []


async def test_no_change_is_not_written() -> None:
    server = Server(conflicts=0)
    await rewrite(cast("Kube", server), POOL, lambda _: None)
    assert server.written == []


def test_no_command_writes_to_a_pool_past_it() -> None:
    """`wpool chaos` breaks what is around a pool, and never writes to one."""
    found = {
        str(path.relative_to(CLI)): count
        for path in CLI.rglob("*.py")
        if path.parent.name not in {"chaos", "hands"} and (count := path.read_text("utf-8").count("merge_patch("))
    }
    assert found == OTHERS | {"writing.py": 2}
