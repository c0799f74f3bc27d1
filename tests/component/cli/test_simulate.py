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


async def test_two_settings_are_drawn_above_each_other(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.yaml" for name in "ab"]
    for most, file in enumerate(files, 2):
        file.write_text(json.dumps(pool_body(scaling={"maxReplicas": most})), "utf-8")
    plot = tmp_path / "plot.svg"
    words = [
        "-f",
        str(files[0]),
        "--compare",
        str(files[1]),
        "--pattern",
        "burst",
        "--job-seconds",
        "2",
        "--price",
        "1",
    ]
    shown = await asyncio.to_thread(
        partial(subprocess.run, check=False, capture_output=True, text=True, timeout=120),
        [sys.executable, "-m", "workerpool_operator.cli", "simulate", *words, "--plot", str(plot)],
    )
    assert shown.returncode == 0, shown.stderr
    assert "<svg" in plot.read_text("utf-8")
