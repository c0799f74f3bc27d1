"""What counts as a change that somebody made to an object of the pool, and what does not."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workerpool_operator.domain.drift import covers

SPEC: dict[str, Any] = {
    "replicas": 3,
    "template": {"containers": [{"name": "worker", "image": "web:1"}], "labels": {"a": "b"}},
}

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)


def without_empty(value: Any) -> Any:
    """The value as the API server may give it back: without fields that hold nothing."""
    if isinstance(value, dict):
        kept = {key: without_empty(one) for key, one in value.items()}
        return {key: one for key, one in kept.items() if one or isinstance(one, bool | int)}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


@given(value=_values)
@example(value={"metadata": {"annotations": {}, "finalizers": []}})
def test_an_object_covers_itself_with_or_without_its_empty_fields(value: Any) -> None:
    assert covers(value, value)
    assert covers(without_empty(value), value)


@given(
    value=st.dictionaries(st.text(max_size=2), _values), more=st.dictionaries(st.text(min_size=3, max_size=4), _values)
)
def test_what_others_add_does_not_count(value: dict[str, Any], more: dict[str, Any]) -> None:
    assert covers(value | more, value)


@pytest.mark.parametrize(
    "changed",
    [
        {"replicas": 2},
        {"replicas": None},
        {"template": None},
        {"template": "text"},
        {"template": {**SPEC["template"], "labels": {"a": "c"}}},
        {"template": {**SPEC["template"], "labels": {}}},
        {"template": {**SPEC["template"], "containers": None}},
        {"template": {**SPEC["template"], "containers": "text"}},
        {"template": {**SPEC["template"], "containers": [{"name": "worker", "image": "web:2"}]}},
        {"template": {**SPEC["template"], "containers": [*SPEC["template"]["containers"], {"name": "sidecar"}]}},
    ],
)
def test_a_field_that_is_changed_or_gone_and_a_list_with_another_item_count(changed: dict[str, Any]) -> None:
    assert not covers({**SPEC, **changed}, SPEC)


def test_a_value_where_none_is_wanted_counts() -> None:
    assert not covers({"selector": "x"}, {"selector": None})
