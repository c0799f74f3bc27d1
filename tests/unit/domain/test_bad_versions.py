"""Versions that are bad in one way each, and days that are bad for all: played by the look, with the verdict expected.

A pool of ten with the defaults of a canary: one worker in ten at first, a look each ten seconds. Each worker has two
jobs a second, of which the stable version fails none unless it is said.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.unit.domain.builders import NOW, deployment, memory, pool, revision, snapshot
from workerpool_operator import api
from workerpool_operator.api import RolloutStatus, WorkerPool
from workerpool_operator.domain import desired
from workerpool_operator.domain.rollout.ledger import PodState, Reading
from workerpool_operator.domain.rollout_status import rollout_status
from workerpool_operator.domain.snapshot import Memory, Snapshot
from workerpool_operator.domain.versions import choose

LOOK = 10.0
RATE = 2.0
HOURS = 3600.0


def asking(image: str, *, slo: dict[str, Any] | None = None, **rollout: Any) -> WorkerPool:
    return pool(
        slo=slo or {},
        worker={"image": image},
        scaling={"mode": "manual"},
        replicas=10,
        rollout={"strategy": "Canary"} | rollout,
    )


OLD, NEW = asking("web:1"), asking("web:2")
DEPLOYMENTS, REVISIONS = deployment(OLD, 9) | deployment(NEW, 1), revision(OLD) | revision(NEW)
STABLE, CANARY = desired.hashes(OLD).version, desired.hashes(NEW).version


@dataclass(frozen=True, kw_only=True)
class Did:
    """What a worker has done by now."""

    jobs: float = 0.0
    failed: float = 0.0
    slow: float = 0.0
    late: float = 0.0
    open: int = 0
    """Begun, not ended, and not in flight."""
    boot: int = 0
    evicted: bool = False
    paused: bool = False


def fine(at: float) -> Did:
    return Did(jobs=RATE * at)


def reading(uid: str, version: str, did: Did, *, at: float) -> Reading:
    jobs = int(did.jobs)
    return Reading(
        uid=uid,
        version=version,
        start=str(did.boot),
        age_seconds=at,
        heard_at=NOW + at,
        started=jobs,
        finished=jobs - did.open,
        in_flight=0,
        first_attempts=jobs,
        first_failures=int(did.failed),
        first_slow=int(did.slow),
        first_late=int(did.late),
        evicted=did.evicted,
        paused=did.paused,
    )


@dataclass(kw_only=True)
class Play:
    """A rollout, look by look, until the canary is over or so much time has passed."""

    canary: Callable[[float], Did | None] = fine
    """None: its worker is not heard."""
    stable: Callable[[float], Did] = fine
    crashes: Callable[[float], int] = lambda at: 0
    ready: bool = True
    placed: bool = True
    collectors: int = 1
    of: WorkerPool = field(default_factory=lambda: NEW)
    restarts: bool = False
    """Of the operator, every ten minutes."""

    def until(self, seconds: float) -> tuple[float, RolloutStatus]:
        """When it was over, and what the status says then. One worker in ten stays, whatever the step."""
        rollout, status, at = None, self.of.status, 0.0
        target = desired.revision_for(self.of)
        while True:
            seen = self._seen(self.of.changed(status=status), memory(rollout=rollout), at)
            versions = choose(seen, target=target, total=10)
            rollout = versions.rollout
            if (at and not versions.canary) or at >= seconds:
                said = rollout_status(versions)
                assert said is not None
                return at, said
            if self.restarts and at % 600 == 0:
                stored = api.WorkerPoolStatus(rollout=rollout_status(versions))
                rollout, status = None, api.WorkerPoolStatus.model_validate(stored.to_json())
            at += LOOK

    def _seen(self, status: WorkerPool, remembered: Memory, at: float) -> Snapshot:
        workers = [(f"s{number}", STABLE, self.stable(at)) for number in range(9)]
        canary = self.canary(at)
        readings = [reading(uid, version, did, at=at) for uid, version, did in workers]
        readings += [reading("c", CANARY, canary, at=at)] if canary else []
        states = [PodState(uid=uid, version=STABLE) for uid, _, _ in workers]
        states.append(PodState(uid="c", version=CANARY, ready=self.ready, placed=self.placed, crashes=self.crashes(at)))
        return snapshot(
            status,
            deployments=DEPLOYMENTS,
            revisions=REVISIONS,
            readings=tuple(readings),
            pod_states=tuple(states),
            collectors=self.collectors,
            memory=remembered,
            now=NOW + at,
        )


def rejected(play: Play, *, within: float) -> float:
    """When it was."""
    at, said = play.until(within)
    assert (said.canary, said.stable, said.rejected) == ("", STABLE, (CANARY,))
    return at


def test_a_good_version_is_promoted() -> None:
    at, said = Play().until(HOURS)
    assert (said.canary, said.stable) == ("", CANARY)
    assert at >= 2400  # both steps, at full length


def test_an_image_that_never_starts_goes_after_ten_minutes() -> None:
    assert 600 <= rejected(Play(canary=lambda _: None, ready=False), within=660) <= 620


def test_a_version_for_which_no_node_has_room_is_held() -> None:
    _, said = Play(canary=lambda _: None, ready=False, placed=False).until(1200)
    assert (said.canary, said.verdict, said.cause, said.wait) == (CANARY, "Inconclusive", "Unmeasured", "Unmeasured")


def test_a_version_that_crashes_at_its_start_goes_by_its_crashes() -> None:
    """As the kubelet restarts it: at once, and after 10, 20, 40, 80 and 160 seconds."""
    moments = [1, 12, 34, 76, 158, 320]
    crashing = Play(canary=lambda _: None, ready=False, crashes=lambda at: sum(at >= one for one in moments))
    assert rejected(crashing, within=600) < 330


def test_a_version_that_crashes_after_ten_minutes_goes_with_its_second_crash() -> None:
    def canary(at: float) -> Did:
        boot = int(at // 600)
        jobs = RATE * (at - 600 * boot)
        return Did(jobs=jobs, open=0 if at % 600 < 590 else min(8, int(jobs)), boot=boot)

    assert rejected(Play(canary=canary, crashes=lambda at: int(at // 600)), within=HOURS) <= 1300


def test_a_version_that_leaks_goes_by_its_oom_kills_although_no_job_is_lost() -> None:
    def canary(at: float) -> Did:
        boot = int(at // 300)
        return Did(jobs=RATE * (at - 300 * boot), boot=boot)

    assert rejected(Play(canary=canary, crashes=lambda at: int(at // 300)), within=1800) <= 1800


def test_a_version_that_is_ready_and_takes_nothing_goes() -> None:
    assert rejected(Play(canary=lambda _: Did()), within=200) < 100


def test_a_version_that_says_why_it_takes_nothing_stays() -> None:
    _, said = Play(canary=lambda _: Did(paused=True)).until(1800)
    assert (said.canary, said.verdict, said.wait) == (CANARY, "Inconclusive", "StepRuns")


def test_a_version_that_forgets_its_jobs_goes_when_their_leases_are_over() -> None:
    assert rejected(Play(canary=lambda at: Did(jobs=at, open=int(at))), within=300) < 240


def test_a_version_that_fails_fast_goes_with_its_second_incident() -> None:
    """A minute of warming up, and a minute between two incidents of its only worker."""
    assert rejected(Play(canary=lambda at: Did(jobs=50 * at, failed=50 * at)), within=300) <= 130


def test_a_version_that_fails_five_times_as_often_goes() -> None:
    """In twice the 3 minutes that the judge's table has for 50 jobs a minute; here there are 120."""
    play = Play(
        stable=lambda at: Did(jobs=RATE * at, failed=RATE * at / 100),
        canary=lambda at: Did(jobs=RATE * at, failed=RATE * at / 20),
    )
    assert rejected(play, within=600) <= 60 + 360 * 50 / 120


def test_a_version_that_is_slow_goes() -> None:
    assert rejected(Play(canary=lambda at: Did(jobs=RATE * at, slow=RATE * at)), within=300) <= 130


def test_a_version_that_fails_one_type_of_job_goes() -> None:
    """A type that makes up a twentieth of the jobs, of which the stable version fails one in two hundred."""
    play = Play(
        stable=lambda at: Did(jobs=RATE * at, failed=RATE * at / 200),
        canary=lambda at: Did(jobs=RATE * at, failed=RATE * at / 20),
    )
    assert rejected(play, within=1200) < 600


def test_a_version_that_cannot_read_the_payloads_of_before_goes() -> None:
    assert rejected(Play(canary=lambda at: Did(jobs=RATE * at, failed=RATE * at * 0.9)), within=300) <= 130


def test_a_downstream_that_fails_both_versions_rejects_nobody() -> None:
    def half(at: float) -> Did:
        return Did(jobs=RATE * at, failed=RATE * at / 2)

    _, said = Play(stable=half, canary=half).until(HOURS)
    assert said.rejected == ()


def test_a_version_that_breaks_the_slo_goes_although_its_ratio_is_tolerated() -> None:
    """Both fail a little; the canary more than is promised."""
    of = asking("web:2", slo={"availability": "0.99"}, analysis={"tolerateRatio": "20", "rejectRatio": "40"})
    play = Play(
        of=of,
        stable=lambda at: Did(jobs=RATE * at, failed=RATE * at / 400),
        canary=lambda at: Did(jobs=RATE * at, failed=RATE * at / 30),
    )
    assert rejected(play, within=HOURS) < 1200


def test_a_version_whose_jobs_alone_are_late_breaks_the_slo() -> None:
    of = asking("web:2", slo={"jobLatencySeconds": 30})
    assert rejected(Play(of=of, canary=lambda at: Did(jobs=RATE * at, late=RATE * at / 2)), within=600) < 300


def test_while_both_versions_break_the_slo_the_rollout_holds() -> None:
    def backlog(at: float) -> Did:
        return Did(jobs=RATE * at, late=RATE * at / 2)

    of = asking("web:2", slo={"jobLatencySeconds": 30})
    _, said = Play(of=of, stable=backlog, canary=backlog).until(2 * HOURS)
    assert (said.canary, said.step, said.verdict, said.wait) == (CANARY, 1, "Inconclusive", "Outage")
    [objective] = said.objectives
    assert (objective.name, objective.allowed, objective.canary, objective.stable) == ("latency", "0.05", "0.5", "0.5")


@pytest.mark.parametrize(
    ("policy", "end"), [("Hold", (STABLE, CANARY)), ("Promote", (CANARY, "")), ("Rollback", (STABLE, ""))]
)
def test_a_queue_that_is_quiet_to_the_end_of_the_steps_ends_as_the_policy_says(
    policy: str, end: tuple[str, str]
) -> None:
    """A job in ten minutes: the steps ask for none, and the last one ends without a verdict."""
    steps = [{"weight": 10, "durationSeconds": 600}, {"weight": 50, "durationSeconds": 600}]
    of = asking("web:2", steps=steps, analysis={"onInconclusive": policy})
    quiet = Play(of=of, stable=lambda at: Did(jobs=at / 600), canary=lambda at: Did(jobs=at / 600))
    at, said = quiet.until(HOURS)
    assert (said.stable, said.canary) == end
    assert at > 1200
    assert said.rejected == ((CANARY,) if policy == "Rollback" else ())


def test_of_a_quiet_queue_nothing_is_said_and_nothing_moves() -> None:
    _, said = Play(stable=lambda at: Did(jobs=at / 600), canary=lambda at: Did(jobs=at / 600)).until(1800)
    assert (said.canary, said.step, said.verdict, said.wait) == (CANARY, 1, "Inconclusive", "StepRuns")


@pytest.mark.parametrize(
    ("policy", "end"), [("Hold", (STABLE, CANARY)), ("Promote", (CANARY, "")), ("Rollback", (STABLE, ""))]
)
def test_without_a_collector_for_the_whole_bake_it_is_as_the_policy_says(policy: str, end: tuple[str, str]) -> None:
    of = asking("web:2", analysis={"onInconclusive": policy})
    at, said = Play(collectors=0, of=of).until(2000)
    assert (said.stable, said.canary) == end
    assert at > 900


def test_an_operator_that_restarts_in_every_step_goes_on_and_promotes() -> None:
    at, said = Play(restarts=True).until(2 * HOURS)
    assert (said.canary, said.stable, said.rejected) == ("", CANARY, ())
    assert at < HOURS


def test_an_operator_that_restarts_all_the_time_rejects_a_bad_version_all_the_same() -> None:
    rejected(Play(canary=lambda at: Did(jobs=RATE * at, failed=RATE * at / 5), restarts=True), within=HOURS)


def test_a_node_that_is_lost_in_a_step_is_not_laid_to_the_version() -> None:
    """Its worker is not heard for a minute, is evicted with its jobs, and another one takes its place."""

    def canary(at: float) -> Did | None:
        if at < 300:
            return Did(jobs=RATE * at, open=0 if at < 290 else 10, evicted=at > 290)
        return None if at < 360 else Did(jobs=RATE * (at - 360), boot=1)

    _, said = Play(canary=canary).until(HOURS)
    assert (said.canary, said.stable, said.rejected) == ("", CANARY, ())


def test_a_stable_version_without_a_ready_worker_lets_nobody_be_called_unready() -> None:
    play = Play(canary=lambda _: None, ready=False)
    seen = play._seen(NEW, memory(), 0.0)
    down = tuple(replace(state, ready=False) for state in seen.pod_states)
    target = desired.revision_for(NEW)
    first = choose(replace(seen, pod_states=down), target=target, total=10)
    remembered = memory(rollout=first.rollout)
    later = choose(replace(seen, pod_states=down, now=NOW + 2000, memory=remembered), target=target, total=10)
    assert later.rollout is not None
    assert later.rollout.evidence.unready_seconds == 0.0
