"""`wpool cost` on a real Prometheus that holds what an operator exported for two hours."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prometheus import prometheus_with

pytestmark = [pytest.mark.component, pytest.mark.promtool]
STEP = 15
HOURS = 2


def exported(now: int) -> list[str]:
    """Two workers of version a, of which one has no job, then one of b; in the text format, with times."""
    lines: dict[str, list[str]] = {
        "workerpool_worker_seconds": [],
        "workerpool_worker_idle_seconds": [],
        "workerpool_worker_hour_price": [],
    }
    pool = 'namespace="media",pool="thumbs"'
    for second in range(0, HOURS * 3_600 + 1, STEP):
        at = now - HOURS * 3_600 + second
        a, b = min(second, 3_600), max(0, second - 3_600)
        for version, seconds in {"a": 2 * a, "b": b}.items():
            lines["workerpool_worker_seconds"].append(f'{{{pool},version="{version}"}} {seconds} {at}')
        lines["workerpool_worker_idle_seconds"] += [f'{{{pool},version="a"}} {a} {at}']
        lines["workerpool_worker_hour_price"] += [f'{{{pool},currency="EUR"}} 0.25 {at}']
    text = []
    for name, samples in lines.items():
        counter = not name.endswith("price")
        text.append(f"# TYPE {name} {'counter' if counter else 'gauge'}")
        # By series: the format wants those of one together.
        text += sorted((f"{name}{'_total' if counter else ''}{one}" for one in samples), key=lambda s: s.split("}")[0])
    return [*text, "# EOF"]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    with prometheus_with(exported(int(time.time()) - 1), tmp_path) as url:
        yield url


def wpool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workerpool_operator.cli", "cost", *words], capture_output=True, text=True, check=False
    )


async def test_what_was_used_is_told_with_its_price(prometheus: str) -> None:
    shown = wpool("--prometheus", prometheus, "--window", "3h", "--output", "json")
    assert shown.returncode == 0, shown.stderr
    found = {line["version"]: line for line in json.loads(shown.stdout)}
    assert found.keys() == {"a", "b"}
    for version, (hours, idle) in {"a": (2.0, 1.0), "b": (1.0, 0.0)}.items():
        line = found[version]
        told = (line["worker_hours"], line["idle_hours"], line["cost"])
        assert told == pytest.approx((hours, idle, hours * 0.25), abs=0.02)
        assert (line["namespace"], line["pool"], line["currency"]) == ("media", "thumbs", "EUR")
    table = wpool("thumbs", "--prometheus", prometheus, "--window", "3h")
    assert "EUR" in table.stdout
    none = wpool("mails", "--prometheus", prometheus)
    assert none.returncode == 1
