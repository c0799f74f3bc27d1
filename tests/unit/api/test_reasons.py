"""Words for programs: each has a meaning, and the collector's are among them."""

from enum import StrEnum

import pytest

from workerpool_operator.api import ConditionStatus, ConditionType, ImagePullPolicy, Limiter, Reason, ScalingMode
from workerpool_operator.api.docs import member_docs, page
from workerpool_operator.protocol import SampleError


@pytest.mark.parametrize("enum", [Reason, Limiter, ConditionType, ConditionStatus, ScalingMode, ImagePullPolicy])
def test_every_word_is_explained(enum: type[StrEnum]) -> None:
    assert set(member_docs(enum)) == {member.name for member in enum}


def test_every_reading_error_of_a_collector_is_a_reason_of_its_own() -> None:
    assert {str(error) for error in SampleError} <= {str(reason) for reason in Reason}


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_written_as_kubernetes_wants_it(reason: Reason) -> None:
    assert reason.isalnum()
    assert reason[0].isupper()


def test_the_reference_page_tells_every_reason_and_condition() -> None:
    text = page()
    assert all(f"| `{word}` |" in text for enum in (Reason, ConditionType, Limiter) for word in enum)
