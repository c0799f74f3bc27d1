"""Why a pool has its size, on one screen."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from workerpool_operator.cli.explain.command import show
from workerpool_operator.cli.explain.page import Page
from workerpool_operator.cli.terminal import Console

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pool(*, spec: dict[str, Any] | None = None, conditions: tuple[dict[str, Any], ...] = (), **status: Any) -> Any:
    metadata = {"name": "thumbs", "namespace": "media", "generation": 1}
    return {"metadata": metadata, "spec": spec or {}, "status": {**status, "conditions": list(conditions)}}


def screen(of: Any) -> str:
    out = io.StringIO()
    show(Page.of(of, now=NOW), Console(file=out, width=200))
    return out.getvalue()


SCALING = {
    "desired": 50,
    "size": 40,
    "mode": "hpa",
    "reason": "Active",
    "limitedBy": ["scaleUpRate", "maxReplicas", "moonPhase"],
    "terms": [
        {"name": "little", "message": "no job has ended yet"},
        {"name": "queueDepthPerReplica", "value": 15},
        {"name": "jobLatencySeconds", "value": 80},
    ],
}


OFF = "forecasts of the last season were off by 12 %"


def test_terms_come_with_the_winner_first_and_the_silent_last() -> None:
    page = Page.of(pool(scaling=SCALING, replicas=40, readyReplicas=38), now=NOW)
    assert [(term.name, term.workers, term.wins) for term in page.terms] == [
        ("jobLatencySeconds", 80, True),
        ("queueDepthPerReplica", 15, False),
        ("little", None, False),
    ]
    assert page.terms[-1].why == "no job has ended yet"
    assert page.title == "media/thumbs: 50 wanted, brought to 40, 38 of 40 ready (mode hpa, Active)"


def test_each_limiter_is_explained_and_one_of_another_release_is_named() -> None:
    page = Page.of(pool(scaling=SCALING), now=NOW)
    assert [name for name, _ in page.limits] == ["scaleUpRate", "maxReplicas", "moonPhase"]
    assert "maxPodsPerMinute" in page.limits[0][1]
    assert page.limits[2][1] == ""


def test_readings_come_with_their_age_and_jobs_in_flight() -> None:
    read = {"name": "main", "depth": 7, "inFlight": 3, "oldestAgeSeconds": 12, "sampleTime": "2026-01-02T03:04:00Z"}
    page = Page.of(pool(queues=[read, {"name": "other", "reachable": False}]), now=NOW)
    first, second = page.queues
    assert (first.waiting, first.running, first.oldest, first.read) == ("7", "3", "12s", "5s")
    assert (second.waiting, second.oldest, second.read) == ("-", "-", "cannot be read")


def test_a_queue_at_rest_that_is_read_in_time_is_not_called_old() -> None:
    """The status has the time of the first reading like this: what comes after it and is alike is not written."""
    queue = {"name": "main", "depth": 0, "inFlight": 0, "sampleTime": "2026-01-02T01:04:00Z"}
    reachable = {"type": "QueueReachable", "reason": "SamplesFresh", "message": "", "observedGeneration": 1}
    for status, wanted in (("True", "in time, the same for 2h"), ("Unknown", "2h")):
        page = Page.of(pool(queues=[queue], conditions=({**reachable, "status": status},)), now=NOW)
        assert [one.read for one in page.queues] == [wanted]


def test_what_lies_downstream_is_reckoned_where_somebody_said_what_it_bears() -> None:
    spec = {"scaling": {"downstreamMaxConcurrency": 400}, "worker": {"maxWorkers": 8}}
    assert Page.of(pool(scaling=SCALING), now=NOW).downstream == ""
    assert "50 workers x at most 8 jobs = 400 of 400" in Page.of(pool(spec=spec, scaling=SCALING), now=NOW).downstream
    fewer = {**spec, "delivery": {"concurrencyPerWorker": 2}}
    assert "= 100 of 400" in Page.of(pool(spec=fewer, scaling=SCALING), now=NOW).downstream


def test_a_budget_is_told_of_with_what_it_grants() -> None:
    assert Page.of(pool(scaling=SCALING), now=NOW).budget == ""
    share = {"name": "team", "wanted": 9, "granted": 4}
    assert Page.of(pool(scaling=SCALING | {"budget": share}), now=NOW).budget == "budget team grants 4 of 9 wanted"
    unknown = {"name": "team", "wanted": 9}
    told = Page.of(pool(scaling=SCALING | {"budget": unknown}), now=NOW).budget
    assert told == "budget team does not say how many it grants of 9 wanted"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"mode": "observe", "jobsPerMinute": 240, "replicas": 8, "errorPercent": 12},
            "forecast (observe): 240 jobs per minute expected, asks for 8 workers, " + OFF,
        ),
        (
            {"mode": "enabled", "message": "jobs are counted for 5 h, and a season takes 24 h"},
            "forecast (enabled): asks for nothing, jobs are counted for 5 h, and a season takes 24 h",
        ),
        (None, ""),
    ],
)
def test_a_forecast_is_told_of_with_its_error_or_why_there_is_none(said: dict[str, Any] | None, told: str) -> None:
    """Whether or not it counts."""
    scaling = SCALING | ({"predictive": said} if said else {})
    assert Page.of(pool(scaling=scaling), now=NOW).forecast == told
    if told:
        assert " ".join(told.split()) in " ".join(screen(pool(scaling=scaling)).split())


def test_only_conditions_that_are_amiss_are_told() -> None:
    told = [
        {
            "type": "ScalingActive",
            "status": "False",
            "reason": "SamplesStale",
            "message": "not read",
            "observedGeneration": 1,
        },
        {"type": "Stalled", "status": "False", "reason": "NotStalled", "message": "", "observedGeneration": 1},
        {"type": "Ready", "status": "True", "reason": "AllReady", "message": "", "observedGeneration": 1},
        {"type": "QueueReachable", "status": "True", "reason": "SamplesFresh", "message": "", "observedGeneration": 1},
    ]
    assert Page.of(pool(conditions=tuple(told)), now=NOW).troubles == ("ScalingActive=False: SamplesStale: not read",)


def test_a_pool_that_nobody_has_decided_on_is_no_error() -> None:
    assert "has not decided" in screen({"metadata": {"name": "thumbs"}})


def test_the_screen_says_it_all() -> None:
    queue = {"name": "main", "depth": 7, "inFlight": 3, "sampleTime": "2026-01-02T03:04:00Z"}
    spec = {"scaling": {"downstreamMaxConcurrency": 400}}
    told = screen(pool(spec=spec, scaling=SCALING, queues=[queue]))
    told = " ".join(told.split())
    for words in ("80 the most", "little - no job has ended", "limited by scaleUpRate", "then limited by maxReplicas"):
        assert words in told
    assert "of 400 that what they call bears" in told
    assert told.count("has not acted on the last change") == 1


def test_the_canary_and_the_place_are_explained() -> None:
    """With what is missing to decide, and until when workers stay where they are."""
    spec = {
        "rollout": {"steps": [{"weight": 10, "minJobs": 200}]},
        "placement": {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {"nodeSelector": {"zone": "b"}}},
    }
    rollout = {"stable": "aa", "canary": "bb", "step": 1, "verdict": "Inconclusive", "cause": "Evidence", "jobs": 50}
    placed = {"type": "Placed", "status": "False", "reason": "FailingBack", "message": "so", "observedGeneration": 1}
    status = {"rollout": rollout, "placement": {"active": "secondary", "lost": 2}}
    told = " ".join(screen(pool(spec=spec, scaling=SCALING, conditions=(placed,), **status)).split())
    assert "rollout: version bb is tried beside aa: step 1 of 1" in told
    assert "verdict Inconclusive by Evidence" in told
    assert "this step still takes 150 jobs" in told
    assert "place: Placed=False: FailingBack: so" in told
    assert "until that place has had its workers for a minute" in told


def test_it_fits_on_one_screen() -> None:
    """All there is to say at once, on a terminal of 24 lines and 200 columns."""
    spec = {
        "rollout": {"steps": [{"weight": 10, "minJobs": 200}]},
        "placement": {"primary": {"nodeSelector": {"zone": "a"}}, "secondary": {"nodeSelector": {"zone": "b"}}},
    }
    rollout = {
        "stable": "aa", "canary": "bb", "step": 1, "verdict": "Inconclusive", "cause": "Evidence", "jobs": 50,
        "ratio": "1", "ratioLow": "0.5", "minimumDetectableRatio": "4", "wait": "StepRuns",
    }  # fmt: skip
    queue = {"name": "main", "depth": 7}
    told = screen(pool(spec=spec, scaling=SCALING, queues=[queue], rollout=rollout, placement={"active": "primary"}))
    assert len(told.splitlines()) <= 24
