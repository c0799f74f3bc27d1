"""What the demo calls a success, and what it writes."""

import dataclasses
import io
import itertools
from typing import Any

import pytest
from rich.console import Console

from e2e.demo.result import Result
from e2e.demo.show import WAVES, Shown
from workerpool_operator.cli.load.report import End, Reaction, Report
from workerpool_operator.cli.quantiles import Quantiles

JOBS = sum(size for _, size in WAVES)


def a_result(*, nodes: int = 2, max_ready: int = 12, most_nodes: int = 2, **changes: Any) -> Result:
    reaction = Reaction(
        decisions=Quantiles.of([0.2, 0.4]),
        ready_after=(1.5, 2.0, 2.5, 3.0, 3.5, 4.0),
        max_desired=12,
        max_ready=6,
        most_nodes=2,
    )
    report = Report(
        end=End.DONE,
        jobs_planned=JOBS,
        jobs_enqueued=JOBS,
        jobs_done=JOBS,
        jobs_dead=0,
        jobs_lost=0,
        jobs_outstanding=0,
        jobs_duplicated=0,
        jobs_interrupted=0,
        waits=Quantiles.of([0.1]),
        first_starts=Quantiles.of([0.1]),
        throughput=20.0,
        lags=Quantiles.of([0.001]),
        retries=0,
        reaction=reaction,
        seconds=40.0,
    )
    shown = Shown(
        report=dataclasses.replace(report, **changes),
        max_ready=max_ready,
        most_nodes=most_nodes,
        to_zero_seconds=12.0,
        seconds=52.0,
    )
    return Result(shown=shown, provider="local", nodes=nodes, setup={"cluster": 14.0}, seconds_total=80.1234)


def test_a_good_run_breaks_no_promise() -> None:
    assert a_result().broken_promises() == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jobs_lost": 1}, "1 jobs were lost"),
        ({"jobs_interrupted": 2}, "2 jobs were interrupted"),
        ({"jobs_dead": 3}, "3 jobs went to the dead letters"),
        ({"jobs_done": 499}, "fewer than 500"),
        ({"jobs_done": None}, "no worker told"),
        ({"end": End.TIMED_OUT}, "did not come to its end"),
        ({"max_ready": 4}, "fewer than 5 workers"),
        ({"most_nodes": 1}, "all on one node"),
    ],
)
def test_each_broken_promise_is_named(changes: dict[str, Any], said: str) -> None:
    broken = a_result(**changes).broken_promises()
    assert len(broken) == 1
    assert said in broken[0]


def test_a_cluster_of_one_node_cannot_spread() -> None:
    assert a_result(nodes=1, most_nodes=1).broken_promises() == []


def test_the_object_for_machines_has_exactly_these_keys() -> None:
    assert a_result().to_json() == {
        "jobs_enqueued": JOBS,
        "jobs_done": JOBS,
        "jobs_lost": 0,
        "jobs_interrupted": 0,
        "reaction_p50_seconds": 0.2,
        "reaction_p95_seconds": 0.4,
        "max_ready_replicas": 12,
        "seconds_total": 80.123,
        "provider": "local",
    }


@pytest.mark.parametrize("changes", [{}, {"jobs_lost": 1}, {"jobs_done": None}])
def test_the_summary_says_where_to_look_next(changes: dict[str, Any]) -> None:
    stream = io.StringIO()
    a_result(**changes).print(Console(file=stream, width=120))
    said = stream.getvalue()
    assert "kubectl --namespace workerpool-demo get wpool" in said
    assert "make demo-down" in said
    assert ("NOT AS PROMISED" in said) == bool(changes)


def test_the_waves_are_enough_jobs_and_each_burst_is_larger_than_the_one_before() -> None:
    assert JOBS >= 500
    times = [at for at, _ in WAVES]
    assert times == sorted(times)
    rises = [later > earlier for (_, earlier), (_, later) in itertools.pairwise(WAVES)]
    assert rises.count(False) == 1  # where the second wave begins
