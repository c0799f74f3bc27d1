"""`wpool report` on a real Prometheus that holds two hours of a pool, of which the second was twice as busy."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.prometheus import prometheus_with
from workerpool_operator.cli.main import app

pytestmark = [pytest.mark.component, pytest.mark.promtool]
STEP, HOUR = 15, 3_600


def always(value: float) -> Callable[[int], float]:
    return lambda _: value


def exported(now: int) -> list[str]:
    """In the text format, with times: series by series, each name with its type first."""
    seconds = range(0, 2 * HOUR + 1, STEP)
    pool = 'namespace="media",pool="thumbs"'

    def jobs(second: int) -> float:
        return second + max(0, second - HOUR)  # one a second, then two

    counters = {
        f'jobs_processed_total{{{pool},version="a"}}': jobs,
        f'jobs_failed_total{{{pool},version="a",reason="error"}}': lambda second: second / 100,
        f'jobs_redelivered_total{{{pool},version="a"}}': lambda second: second / 200,
        f"workerpool_jobs_interrupted_total{{{pool}}}": lambda second: second / 400,
        f'workerpool_worker_seconds_total{{{pool},version="a"}}': lambda second: 2.0 * second,
        f'workerpool_worker_idle_seconds_total{{{pool},version="a"}}': lambda second: 0.5 * second,
    }
    gauges: dict[str, Callable[[int], float]] = {
        f"workerpool_replicas{{{pool}}}": lambda second: 7.0 if second == HOUR + HOUR // 2 else 2.0,
        f'workerpool_worker_hour_price{{{pool},currency="EUR"}}': lambda _: 0.25,
        f'ALERTS{{alertname="HighQueueDepth",alertstate="firing",{pool}}}': lambda _: 1.0,
    }
    # One job in a thousand may fail, and two of each thousand have; fewer are late than may be.
    for slo, objective, bad, left in (("availability", 0.999, 3.6, 0.25), ("latency", 0.95, 9.0, 0.9)):
        promise = f'{pool},slo="{slo}"'
        gauges |= {
            f"pool:slo_objective:max{{{promise}}}": always(objective),
            f"pool:slo_total:sum30m{{{promise}}}": always(1_800.0),
            f"pool:slo_bad:sum30m{{{promise}}}": always(bad),
            f"pool:slo_budget_left:ratio30d{{{promise}}}": always(left),
        }
    text = []
    for kind, series in (("counter", counters), ("gauge", gauges)):
        for name, value in series.items():
            text.append(f"# TYPE {name.partition('{')[0].removesuffix('_total')} {kind}")
            text += [f"{name} {value(second)} {now - 2 * HOUR + second}" for second in seconds]
    return [*text, "# EOF"]


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[str]:
    with prometheus_with(exported(int(time.time()) - 1), tmp_path) as url:
        yield url


async def report(*words: str) -> Any:
    return await asyncio.to_thread(CliRunner().invoke, app, ["report", *words])


async def test_what_a_pool_has_done_is_told(prometheus: str) -> None:
    shown = await report("--prometheus", prometheus, "--window", "1h", "--output", "json")
    assert shown.exit_code == 0, shown.output
    [week] = json.loads(shown.stdout)
    assert (week["namespace"], week["pool"], week["alerts"]) == ("media", "thumbs", ["HighQueueDepth"])
    told = [
        week[name] for name in ("jobs", "change_percent", "failed_attempts", "worker_hours", "idle_percent", "cost")
    ]
    # What is exported ends when the test begins: its last minute or so is missing where the Prometheus starts slowly.
    assert told == pytest.approx([7_200, 100, 36, 2.0, 25.0, 0.5], rel=0.1)
    assert [week["redelivered"], week["interrupted"]] == pytest.approx([18, 9], rel=0.05)
    assert week["most_workers"] == 7
    assert (week["slo_used_percent"], week["slo_left_percent"]) == (200, 25), "of the promise that fares worst"
    assert week["wait_p95_seconds"] is None, "nobody has exported it"

    page = await report("thumbs", "--prometheus", prometheus, "--window", "1h", "--output", "markdown")
    assert page.stdout.startswith("# Pools, the last 1h\n\n| Namespace | Pool | Jobs |")
    assert "| media | thumbs | 7," in page.stdout
    table = await report("--namespace", "media", "--prometheus", prometheus, "--window", "1h")
    assert table.stdout.splitlines()[0].split()[:3] == ["NAMESPACE", "POOL", "JOBS"]
    none = await report("mails", "--prometheus", prometheus)
    assert (none.exit_code, "no figures within 7d" in none.stderr) == (1, True)


async def test_a_prometheus_that_cannot_be_asked_is_told() -> None:
    shown = await report("--prometheus", "http://127.0.0.1:9")
    assert shown.exit_code == 3
    assert "cannot be asked" in shown.stderr
    assert (await report("--window", "week")).exit_code == 2
