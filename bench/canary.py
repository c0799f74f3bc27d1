"""How often, and how soon, the judge of a canary is right: simulated, with the judge's own code in the loop.

The table looks at one signal by the ratio alone: canary share 10 %, 1 % of the stable version's jobs fail, jobs come by
Poisson, a look each minute. The false alarms are those of the whole judge at work on the counters of 20 pods, two of
them the canary's, with all signals and the defaults of a pool: failures by themselves; in runs of 5 that hit one pod;
and with a failure rate of each pod's own (Beta, intra-class correlation 0.05).

    uv run python -m bench.canary [--json FILE] [--runs 2000]
"""

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from workerpool_operator.cli.simulate.dice import Dice
from workerpool_operator.domain.rollout.evidence import Evidence, SignalEvidence
from workerpool_operator.domain.rollout.judge import Rules, Verdict, Watch, assess, by_evidence, look
from workerpool_operator.domain.rollout.ledger import PodState, Reading, Side
from workerpool_operator.domain.rollout.mixture import Interval

SEED: Final = 20
BASE_RATE: Final = 0.01
CANARY_SHARE: Final = 0.1
RATIO_ONLY: Final = Rules(tolerate_ratio=1.0, acceptable_failure_rate=1e-12, signals=1)
CASES: Final = (
    (50, 1, (60,)),
    (50, 3, (60,)),
    (50, 5, (60,)),
    (5, 1, (60, 240)),
    (5, 3, (60, 240)),
    (5, 5, (60,)),
    (10, 5, (60,)),
)
PODS: Final = 20
CANARIES: Final = 2
JOBS_PER_POD: Final = 25
"""A minute."""
CRASHES_PER_MINUTE: Final = 0.01
RUN: Final = 5
CORRELATION: Final = 0.05
MINUTES: Final = 60


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of the runs of one case within so many minutes."""

    canary_jobs_per_minute: int
    true_ratio: int
    minutes: int
    pass_percent: float
    fail_percent: float
    inconclusive_percent: float
    median_minutes: float | None
    """Of all runs; None where less than half of them came to a verdict."""


def verdict_of_run(dice: Dice, *, jobs: float, ratio: float, minutes: int) -> tuple[Verdict, int]:
    """One rollout by the ratio alone: its verdict, and in which minute it came."""
    one, stable = SignalEvidence(), jobs / CANARY_SHARE - jobs
    for minute in range(1, minutes + 1):
        failed, stable_failed = dice.poisson(jobs * BASE_RATE * ratio), dice.poisson(stable * BASE_RATE)
        done = dice.poisson(jobs * (1 - BASE_RATE * ratio)) + failed
        stable_done = dice.poisson(stable * (1 - BASE_RATE)) + stable_failed
        one = one.plus(Interval(done, failed, stable_done, stable_failed), nulls=RATIO_ONLY.nulls)
        one = replace(one, incidents=one.incidents + failed)
        verdict = by_evidence(one, trials=one.total.canary_trials, phi=1.0, rules=RATIO_ONLY)
        if verdict is not Verdict.INCONCLUSIVE:
            return verdict, minute
    return Verdict.INCONCLUSIVE, minutes


def rows_of(dice: Dice, case: tuple[int, int, tuple[int, ...]], *, runs: int) -> list[Row]:
    """The rows of one case: the same runs, seen after so many minutes."""
    jobs, ratio, seen_after = case
    ends = [verdict_of_run(dice, jobs=jobs, ratio=ratio, minutes=max(seen_after)) for _ in range(runs)]
    return [_row(jobs, ratio, minutes, ends) for minutes in seen_after]


def _row(jobs: int, ratio: int, minutes: int, ends: Sequence[tuple[Verdict, int]]) -> Row:
    known = [(verdict, at) for verdict, at in ends if verdict is not Verdict.INCONCLUSIVE and at <= minutes]
    never = [math.inf] * (len(ends) - len(known))
    median = statistics.median([*(at for _, at in known), *never])
    passed = sum(verdict is Verdict.PASS for verdict, _ in known)
    return Row(
        canary_jobs_per_minute=jobs,
        true_ratio=ratio,
        minutes=minutes,
        pass_percent=_percent(passed, len(ends)),
        fail_percent=_percent(len(known) - passed, len(ends)),
        inconclusive_percent=_percent(len(ends) - len(known), len(ends)),
        median_minutes=median if median < math.inf else None,
    )


@dataclass(kw_only=True)
class Pod:
    """A worker's counters, as they grow."""

    uid: str
    side: Side
    failures: Callable[[], int]
    slow: Callable[[], int]
    crashes: Callable[[], int]
    jobs: int = 0
    failed: int = 0
    late: int = 0
    died: int = 0

    def minute(self, now: float) -> Reading:
        """After one more minute."""
        self.jobs += JOBS_PER_POD
        self.failed += min(self.failures(), JOBS_PER_POD)
        self.late += min(self.slow(), JOBS_PER_POD)
        self.died += self.crashes()
        return Reading(
            uid=self.uid,
            side=self.side,
            start="1",
            age_seconds=3600.0,
            heard_at=now,
            started=self.jobs,
            finished=self.jobs,
            in_flight=0,
            first_attempts=self.jobs,
            first_failures=self.failed,
            first_slow=self.late,
        )

    @property
    def state(self) -> PodState:
        """As Kubernetes has it."""
        return PodState(uid=self.uid, side=self.side, crashes=self.died)


def alone(dice: Dice, rate: float, trials: float) -> Callable[[], int]:
    """Failures that come each by itself."""
    return lambda: dice.poisson(rate * trials)


def in_runs(dice: Dice, rate: float, trials: float) -> Callable[[], int]:
    """Failures that come in runs, each of which hits one pod."""
    return lambda: RUN * dice.poisson(rate * trials / RUN)


def by_pod(dice: Dice, rate: float, trials: float) -> Callable[[], int]:
    """Failures at a rate that is the pod's own."""
    spread = 1 / CORRELATION - 1
    own = dice.random.betavariate(rate * spread, (1 - rate) * spread)
    return lambda: dice.poisson(own * trials)


def whole_run(dice: Dice, kind: Callable[[Dice, float, float], Callable[[], int]], *, rules: Rules) -> Verdict:
    """A rollout of an equally good version, by the whole judge: whether it fails within the hour, and how it ends."""
    pods = [
        Pod(
            uid=str(number),
            side=Side.CANARY if number < CANARIES else Side.STABLE,
            failures=kind(dice, BASE_RATE, JOBS_PER_POD),
            slow=kind(dice, BASE_RATE, JOBS_PER_POD),
            crashes=kind(dice, CRASHES_PER_MINUTE, 1.0),
        )
        for number in range(PODS)
    ]
    evidence, watch, verdict = Evidence(nulls=rules.nulls), Watch(), Verdict.INCONCLUSIVE
    for minute in range(MINUTES + 1):
        now = 60.0 * minute
        readings = tuple(pod.minute(now) for pod in pods)
        states = tuple(pod.state for pod in pods)
        evidence, watch = look(
            evidence, watch, readings, states, now=now, rules=rules, lease_seconds=60.0, fresh_seconds=30.0
        )
        verdict = assess(evidence, watch.ledger, rules=rules).verdict
        if verdict is Verdict.FAIL:
            return verdict
    return verdict


def false_fails(
    dice: Dice, kind: Callable[[Dice, float, float], Callable[[], int]], *, runs: int, rules: Rules
) -> float:
    """How many of a hundred equally good versions are rejected within an hour."""
    told = progress(f"equally good, failures {kind.__name__.replace('_', ' ')}", runs)
    return _percent(sum(whole_run(dice, kind, rules=rules) is Verdict.FAIL for _ in told), runs)


def never(dice: Dice, rate: float, trials: float) -> Callable[[], int]:  # noqa: ARG001
    """No failures."""
    return lambda: 0


def progress(what: str, runs: int) -> Iterator[int]:
    """Count to `runs`, and say so every few seconds."""
    began = told = time.monotonic()
    for number in range(runs):
        yield number
        if time.monotonic() - told > 5.0:
            told = time.monotonic()
            print(f"  {what}: {number + 1} of {runs}", flush=True)
    print(f"{what}: {runs} runs in {time.monotonic() - began:.0f} s", flush=True)


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2)


def measure(*, runs: int, rules: Rules) -> dict[str, object]:
    """Everything."""
    dice, rows = Dice(random.Random(SEED)), list[Row]()
    for case in CASES:
        began = time.monotonic()
        made = rows_of(dice, case, runs=runs)
        print(f"{case[0]} jobs a minute, ratio {case[1]}: {runs} runs in {time.monotonic() - began:.0f} s", flush=True)
        rows += made
    combined = false_fails(dice, alone, runs=runs, rules=rules)
    runs_of_five = false_fails(dice, in_runs, runs=runs, rules=rules)
    pods = false_fails(dice, by_pod, runs=runs, rules=rules)
    return {
        "runs": runs,
        "tolerate_ratio": rules.tolerate_ratio,
        "rows": [asdict(row) for row in rows],
        "combined_false_fail_percent": combined,
        "clustered_false_fail_percent": max(runs_of_five, pods),
        "clustered_in_runs_false_fail_percent": runs_of_five,
        "clustered_by_pod_false_fail_percent": pods,
        "never_failing": whole_run(dice, never, rules=rules).value,
    }


def main() -> None:
    """Measure, print, and write JSON where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--tolerate", type=float, default=Rules().tolerate_ratio, help="tolerateRatio of false alarms")
    arguments = parser.parse_args()
    text = json.dumps(measure(runs=arguments.runs, rules=Rules(tolerate_ratio=arguments.tolerate)), indent=2)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
