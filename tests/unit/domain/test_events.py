"""Every event that the operator may tell of is known, and so is which of them are warnings."""

import pytest

from workerpool_operator.api import ConditionType, Reason
from workerpool_operator.api.docs import member_docs
from workerpool_operator.domain.events import HAPPENED, WRONG
from workerpool_operator.domain.rollout_status import REASONS
from workerpool_operator.protocol import SampleError


@pytest.mark.parametrize("reason", REASONS.values())
def test_whatever_happens_to_a_rollout_can_be_told(reason: Reason) -> None:
    """An event that is missing from the table would fail the reconcile."""
    assert reason in HAPPENED


@pytest.mark.parametrize("error", SampleError)
def test_a_queue_that_cannot_be_read_is_a_warning_whatever_the_error(error: SampleError) -> None:
    """People have to do something about each of them."""
    assert Reason(str(error)) in WRONG[ConditionType.QUEUE_REACHABLE]


def test_what_happens_is_not_the_state_of_a_condition() -> None:
    """Else it would be told twice."""
    assert not set(HAPPENED) & {reason for reasons in WRONG.values() for reason in reasons}


@pytest.mark.parametrize("reason", [*HAPPENED, *{reason for reasons in WRONG.values() for reason in reasons}])
def test_what_is_told_is_explained(reason: Reason) -> None:
    """On the reference page."""
    assert member_docs(Reason)[reason.name]
