"""The size of a pool in mode hpa: what is believed of spec.replicas, what is written into it, and what is said."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workerpool_operator.domain.scaling import HpaInputs, HpaMemory, HpaState, follow
from workerpool_operator.domain.scaling.hpa import PERIOD_SECONDS, STANDING_SECONDS

NOW = 1000.0
SIZES = st.integers(0, 30)


def inputs(*, wanted: int, current: int, replicas: int, **more: Any) -> HpaInputs:
    base: dict[str, Any] = {
        "known": True,
        "entering": False,
        "min_replicas": 0,
        "max_replicas": 50,
        "exact": True,
        "hpa": HpaState(),
        "memory": HpaMemory.new(now=NOW),
        "now": NOW,
    }
    return HpaInputs(wanted=wanted, current=current, replicas=replicas, **(base | more))


def later(before: HpaInputs, *, seconds: float, **more: Any) -> HpaInputs:
    """The next look, so much later, with what the one before has left."""
    return replace(before, memory=follow(before).memory, now=before.now + seconds, **more)


def size(**given: Any) -> int:
    return follow(inputs(**given)).size


# Between what is there and what is wanted, spec.replicas counts at once


@pytest.mark.parametrize(
    ("wanted", "current", "replicas", "followed"),
    [
        (10, 4, 4, 4),  # the HPA has not looked yet
        (10, 4, 7, 7),  # it looked when 7 were wanted
        (10, 4, 10, 10),
        (4, 10, 10, 10),
        (4, 10, 6, 6),
        (4, 10, 4, 4),
        (5, 5, 5, 5),
    ],
)
def test_the_hpa_is_followed_as_far_as_the_work_asks_for(
    wanted: int, current: int, replicas: int, followed: int
) -> None:
    told = follow(inputs(wanted=wanted, current=current, replicas=replicas))
    assert (told.size, told.write) == (followed, None)


@pytest.mark.parametrize(
    ("wanted", "current", "replicas", "kept"),
    [
        (5, 5, 1, 5),  # a PUT without the field
        (10, 5, 1, 5),
        (3, 5, 1, 3),
        (5, 5, 9, 5),  # kubectl scale
        (3, 5, 9, 5),
        (10, 5, 20, 10),
    ],
)
def test_what_somebody_else_writes_does_nothing_that_the_work_does_not_ask_for(
    wanted: int, current: int, replicas: int, kept: int
) -> None:
    told = follow(inputs(wanted=wanted, current=current, replicas=replicas))
    assert (told.size, told.write) == (kept, None)


def test_the_pools_limits_hold_whatever_the_hpa_has_not_done_yet() -> None:
    assert size(wanted=5, current=2, replicas=2, min_replicas=4) == 4
    assert size(wanted=5, current=9, replicas=9, max_replicas=5) == 5


# To and from zero


def test_the_operator_alone_goes_to_zero() -> None:
    told = follow(inputs(wanted=0, current=3, replicas=3))
    assert (told.size, told.write) == (0, 0)
    assert follow(inputs(wanted=0, current=3, replicas=0)).write is None


def test_from_zero_the_operator_goes_straight_to_the_wanted_size() -> None:
    told = follow(inputs(wanted=7, current=0, replicas=0))
    assert (told.size, told.write) == (7, 7)


def test_a_sleeping_pool_whose_field_somebody_has_set_wakes_to_the_wanted_size_all_the_same() -> None:
    told = follow(inputs(wanted=7, current=0, replicas=1))
    assert (told.size, told.write) == (7, 7)


def test_a_pool_that_wakes_to_less_than_the_field_says_leaves_the_rest_to_the_hpa() -> None:
    told = follow(inputs(wanted=2, current=0, replicas=9))
    assert (told.size, told.write) == (2, None)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("wanted", [3, 8])
def test_a_zero_that_the_work_does_not_ask_for_is_overwritten(wanted: int, *, known: bool) -> None:
    """An HPA at 0 does nothing, so nobody else would. The workers stay."""
    told = follow(inputs(wanted=wanted, current=3, replicas=0, known=known))
    assert (told.size, told.write) == (wanted, wanted)


def test_nothing_wakes_a_sleeping_pool_whose_queues_cannot_be_read() -> None:
    told = follow(inputs(wanted=0, current=0, replicas=5, known=False))
    assert (told.size, told.write) == (0, None)


# A change of mode


def test_a_pool_comes_into_the_mode_with_the_size_that_it_has() -> None:
    """What stood in spec.replicas until now meant nothing."""
    for stood in (0, 1, 20):
        told = follow(inputs(wanted=6, current=6, replicas=stood, entering=True))
        assert (told.size, told.write) == (6, 6)


def test_a_pool_that_comes_into_the_mode_with_its_size_in_the_field_needs_no_write() -> None:
    assert follow(inputs(wanted=9, current=6, replicas=6, entering=True)).write is None


def test_a_new_pool_comes_into_the_mode_asleep_or_with_what_is_wanted() -> None:
    assert follow(inputs(wanted=0, current=0, replicas=1, entering=True, known=False)).write == 0
    assert follow(inputs(wanted=2, current=0, replicas=1, entering=True, known=False, min_replicas=2)).write == 2


# What stands for long


@pytest.mark.parametrize(("wanted", "current", "replicas", "kept"), [(5, 5, 8, 5), (5, 5, 1, 5), (12, 12, 1, 12)])
@pytest.mark.parametrize("trouble", ["", "FailedGetExternalMetric: no"])
def test_a_size_that_the_work_does_not_lead_to_is_never_followed_however_long_it_stands(
    wanted: int, current: int, replicas: int, kept: int, trouble: str
) -> None:
    """An HPA that works puts it right; one that does not, or reads nonsense, costs no worker that is needed."""
    look = inputs(wanted=wanted, current=current, replicas=replicas, hpa=HpaState(trouble=trouble))
    for _ in range(5):
        look = later(look, seconds=STANDING_SECONDS)
        assert follow(look).size == kept
    assert follow(look).disagrees


def test_nothing_is_said_to_disagree_while_a_queue_is_unread() -> None:
    """And what stood before does not count after it."""
    first = inputs(wanted=5, current=5, replicas=2)
    gap = later(first, seconds=STANDING_SECONDS, known=False)
    assert (follow(gap).disagrees, follow(gap).look_again) == (False, None)
    assert not follow(later(gap, seconds=1, known=True)).disagrees


# Disagreement and trouble


def test_a_field_that_stays_on_one_side_of_what_is_wanted_is_a_disagreement() -> None:
    stuck = inputs(wanted=10, current=5, replicas=5)
    assert not follow(stuck).disagrees
    told = follow(later(stuck, seconds=STANDING_SECONDS))
    assert (told.disagrees, told.apart, told.size) == (True, True, 5)


def test_an_hpa_that_is_a_period_behind_all_the_time_does_not_disagree() -> None:
    """A queue that grows for minutes: at each look more are wanted than the HPA had heard of."""
    look, told = inputs(wanted=10, current=9, replicas=9), []
    for second in range(0, 300, 3):
        wanted = 10 + second // 3
        replicas = 10 + (second // PERIOD_SECONDS) * PERIOD_SECONDS // 3 - 1
        look = later(look, seconds=3, wanted=wanted, replicas=replicas, current=follow(look).size, max_replicas=500)
        told.append(follow(look).disagrees)
    assert not any(told)


def test_an_hpa_that_leaps_about_beyond_all_that_is_asked_for_disagrees() -> None:
    look = inputs(wanted=5, current=5, replicas=20)
    for number in range(4):
        leapt = 20 + number
        look = later(look, seconds=PERIOD_SECONDS, replicas=leapt)
    assert follow(look).disagrees
    assert follow(look).size == 5


@pytest.mark.parametrize(("wanted", "within"), [(11, True), (9, True), (12, False), (8, False)])
def test_an_hpa_of_an_old_kubernetes_may_be_a_tenth_off(wanted: int, *, within: bool) -> None:
    first = inputs(wanted=wanted, current=wanted, replicas=10, exact=False)
    told = follow(later(first, seconds=STANDING_SECONDS))
    assert told.apart is not within
    assert told.disagrees is not within
    assert told.size == wanted


def test_agreement_and_ignorance_are_no_disagreement() -> None:
    for known, wanted in ((True, 5), (False, 9)):
        first = inputs(wanted=wanted, current=5, replicas=5, known=known)
        told = follow(later(first, seconds=10 * STANDING_SECONDS))
        assert (told.disagrees, told.apart, told.look_again) == (False, False, None)


def test_an_hpa_that_says_for_three_periods_that_it_cannot_work_is_unable() -> None:
    first = inputs(wanted=5, current=5, replicas=5, hpa=HpaState(trouble="FailedGetExternalMetric: no"))
    assert not follow(first).unable
    assert follow(first).look_again == STANDING_SECONDS
    last = later(first, seconds=STANDING_SECONDS)
    assert follow(last).unable
    assert not follow(later(last, seconds=1, hpa=HpaState())).unable


def test_a_leader_is_young_for_three_periods() -> None:
    first = inputs(wanted=5, current=5, replicas=5)
    assert follow(first).young
    assert not follow(later(first, seconds=STANDING_SECONDS)).young


# What an HPA says of itself


def hpa(*conditions: tuple[str, str, str], **status: Any) -> dict[str, Any]:
    told = [{"type": kind, "status": value, "reason": reason, "message": "m"} for kind, value, reason in conditions]
    return {"status": {"conditions": told, **status}}


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({}, HpaState()),
        (hpa(("ScalingActive", "True", "ValidMetricFound"), desiredReplicas=4), HpaState()),
        (hpa(("ScalingActive", "False", "ScalingDisabled"), desiredReplicas=0), HpaState()),
        (hpa(("ScalingLimited", "False", "DesiredWithinRange")), HpaState()),
        (
            hpa(("AbleToScale", "True", "SucceededGetScale"), ("ScalingActive", "False", "FailedGetExternalMetric")),
            HpaState(trouble="FailedGetExternalMetric: m"),
        ),
        (hpa(("AbleToScale", "False", "FailedGetScale")), HpaState(trouble="FailedGetScale: m")),
    ],
)
def test_an_hpas_own_words_are_heard(body: dict[str, Any], state: HpaState) -> None:
    """That it rests at a size of 0 is no trouble."""
    assert HpaState.of(body) == state


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({}, HpaState()),
        (hpa(("Ready", "True", "ScaledObjectReady"), ("Active", "False", "ScalerNotActive")), HpaState()),
        (hpa(("HPAActive", "True", "ScalingDisabled"), ("Paused", "Unknown", "")), HpaState()),
        (hpa(("Ready", "False", "TriggerError")), HpaState(trouble="TriggerError: m")),
        (hpa(("Ready", "Unknown", "")), HpaState()),
        (hpa(("HPAActive", "False", "FailedGetExternalMetric")), HpaState(trouble="FailedGetExternalMetric: m")),
        (hpa(("Paused", "True", "ScaledObjectPaused")), HpaState(trouble="ScaledObjectPaused: m")),
    ],
)
def test_kedas_own_words_are_heard(body: dict[str, Any], state: HpaState) -> None:
    """That nothing is active is no trouble: the operator goes to and from 0."""
    assert HpaState.of_scaled_object(body) == state


# Whatever is written where


@given(wanted=SIZES, current=SIZES, replicas=SIZES, known=st.booleans(), entering=st.booleans(), exact=st.booleans())
@example(wanted=0, current=0, replicas=0, known=True, entering=False, exact=True)
def test_one_look_never_leads_beyond_what_is_there_and_what_is_wanted(
    *, wanted: int, current: int, replicas: int, known: bool, entering: bool, exact: bool
) -> None:
    """Whatever stands in spec.replicas, and whoever wrote it."""
    told = follow(
        inputs(wanted=wanted, current=current, replicas=replicas, known=known, entering=entering, exact=exact)
    )
    assert min(wanted, current) <= told.size <= max(wanted, current)
    left = replicas if told.write is None else told.write
    if known and wanted == 0:
        assert (told.size, left) == (0, 0)
    if wanted > 0:
        assert left > 0
    if current == 0 and wanted > 0:
        assert told.size == wanted


LOOKS = st.lists(
    st.tuples(
        st.floats(0.1, 20.0),
        SIZES,
        st.booleans(),
        st.one_of(st.none(), SIZES),
    ),
    max_size=60,
)


@given(looks=LOOKS, before=SIZES)
def test_no_run_of_events_under_a_working_hpa_gives_up_a_worker_that_was_wanted(
    looks: list[tuple[float, int, bool, int | None]], before: int
) -> None:
    """(seconds, wanted, known, a foreign write) at each look; the HPA writes what was last wanted, once a period.

    No size is ever below the least, or above the most, of what was wanted and what was there; nothing shrinks unknown.
    """
    replicas, current, now, hpa_at = before, before, NOW, NOW
    memory = HpaMemory.new(now=now)
    for seconds, wished, known, foreign in looks:
        now += seconds
        wanted = wished if known else current
        if foreign is not None:
            replicas = foreign
        if now - hpa_at >= PERIOD_SECONDS and replicas > 0 and known:
            replicas, hpa_at = max(1, wanted), now
        told = follow(
            inputs(
                wanted=wanted,
                current=current,
                replicas=replicas,
                known=known,
                memory=memory,
                now=now,
            )
        )
        assert min(wanted, current) <= told.size <= max(wanted, current)
        if not known:
            assert told.size >= current
        memory, current = told.memory, told.size
        replicas = replicas if told.write is None else told.write


@given(wanted=st.integers(1, 30), current=SIZES, replicas=SIZES)
def test_a_period_after_any_write_a_working_hpa_has_put_it_right(wanted: int, current: int, replicas: int) -> None:
    first = inputs(wanted=wanted, current=current, replicas=replicas)
    put_right = later(first, seconds=PERIOD_SECONDS, replicas=wanted, current=follow(first).size)
    assert follow(put_right).size == wanted


@given(wanted=SIZES, current=SIZES, replicas=SIZES, known=st.booleans())
def test_looking_twice_at_the_same_says_the_same(*, wanted: int, current: int, replicas: int, known: bool) -> None:
    look = inputs(wanted=wanted, current=current, replicas=replicas, known=known)
    told = follow(look)
    again = follow(replace(look, memory=told.memory))
    assert (again, again.memory) == (told, told.memory)
