"""Amounts are spelled as the API server spells them (held against a real one in the component tests)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.quantities import KEPT, SPELLINGS
from workerpool_operator.domain.desired import RenderError
from workerpool_operator.domain.desired.quantity import canonical, number


@pytest.mark.parametrize(("written", "stored"), (SPELLINGS | KEPT).items())
def test_an_amount_is_spelled_as_the_api_server_spells_it(written: str, stored: str) -> None:
    assert canonical(written) == stored


def test_a_number_is_an_amount() -> None:
    assert canonical(2000) == "2k"


@pytest.mark.parametrize(("written", "cores"), [("500m", 0.5), ("2", 2.0), (3, 3.0), ("1e1", 10.0), ("1Ki", 1024.0)])
def test_an_amount_is_a_number(written: str | int, cores: float) -> None:
    assert number(written) == cores


@pytest.mark.parametrize("written", ["", "two", "1 Gi", "-1", "1.2.3", "1KI", "Gi", "$(X)", "1e9999"])
def test_what_is_no_amount_is_named(written: str) -> None:
    with pytest.raises(RenderError, match="is not an amount: write it like 2, 500m or 1Gi"):
        canonical(written)


@pytest.mark.parametrize("written", ["9223372036854775808", "8Ei", "10E", "1e99"])
def test_what_is_too_large_is_named(written: str) -> None:
    with pytest.raises(RenderError, match="too large an amount: write at most 9223372036854775807"):
        canonical(written)


@given(
    number=st.integers(min_value=0, max_value=10**6),
    fraction=st.integers(min_value=0, max_value=999),
    suffix=st.sampled_from(["n", "u", "m", "", "k", "M", "G", "Ki", "Mi", "Gi", "e3", "E-3"]),
)
def test_spelling_twice_changes_nothing_more(number: int, fraction: int, suffix: str) -> None:
    once = canonical(f"{number}.{fraction:03}{suffix}")
    assert canonical(once) == once
