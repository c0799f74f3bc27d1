"""`wpool simulate` draws what it has played."""

import asyncio
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.support.pools import pool_body

pytestmark = pytest.mark.component


async def drawn(tmp_path: Path, *words: str) -> str:
    """Two pools, which differ in their largest size."""
    files = [tmp_path / f"{name}.yaml" for name in "ab"]
    for most, file in enumerate(files, 2):
        file.write_text(json.dumps(pool_body(scaling={"maxReplicas": most})), "utf-8")
    plot = tmp_path / "plot.svg"
    both = ["-f", str(files[0]), "--compare", str(files[1]), "--job-seconds", "2", "--plot", str(plot)]
    shown = await asyncio.to_thread(
        partial(subprocess.run, check=False, capture_output=True, text=True, timeout=120),
        [sys.executable, "-m", "workerpool_operator.cli", "simulate", *both, *words],
    )
    assert shown.returncode == 0, shown.stderr
    return plot.read_text("utf-8")


async def test_two_settings_are_drawn_above_each_other(tmp_path: Path) -> None:
    text = await drawn(tmp_path, "--pattern", "burst", "--price", "1")
    assert "<svg" in text
    assert "rejected -->" not in text


async def test_by_when_new_versions_were_decided_is_drawn_below(tmp_path: Path) -> None:
    text = await drawn(tmp_path, "--pattern", "steady", "--rate", "1", "--canary-ratio", "50", "--runs", "5")
    assert "b.yaml: x 50 rejected -->" in text
