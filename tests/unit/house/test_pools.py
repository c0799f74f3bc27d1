"""What `bench.pools` concludes from its rows, and what it takes for scaled."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.pools import keda, workerpool
from bench.pools.estimate import Line, break_even, through, told
from bench.pools.stage import Sizes
from workerpool_operator.domain.desired import COMPONENT_LABEL, POOL_LABEL


def deployment(name: str, replicas: int, **labels: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": name, "labels": labels}, "spec": {"replicas": replicas}}


@given(fixed=st.integers(0, 1000), each=st.integers(0, 100), at=st.sets(st.integers(1, 1000), min_size=2, max_size=5))
def test_costs_that_lie_on_a_line_are_extrapolated_along_it(fixed: int, each: int, at: set[int]) -> None:
    line = through({namespaces: float(fixed + each * namespaces) for namespaces in at})
    assert line.at(2000) == pytest.approx(fixed + each * 2000)


def test_costs_beside_the_line_count_alike() -> None:
    line = through({1: 10.0, 2: 30.0, 3: 20.0})
    assert (line.fixed, line.each) == pytest.approx((10.0, 5.0))


def test_one_measurement_makes_no_line() -> None:
    with pytest.raises(ValueError, match="two numbers"):
        through({1: 10.0})


def test_the_break_even_is_where_the_first_resource_costs_as_much_as_the_others() -> None:
    lines = {"CPU": Line(fixed=20.0, each=1.0), "memory": Line(fixed=100.0, each=50.0)}
    assert break_even(lines, {"CPU": 90.0, "memory": 525.0}) == ("memory", 8.5)
    assert break_even(lines, {"CPU": 25.0, "memory": 525.0}) == ("CPU", 5.0)


def test_a_system_that_costs_more_from_the_beginning_has_none_and_one_that_never_does_has_no_end() -> None:
    assert Line(fixed=100.0, each=1.0).reaches(90.0) == 0.0
    assert Line(fixed=10.0, each=0.0).reaches(90.0) == math.inf
    assert [told(8.5), told(math.inf), told(1234.9)] == ["8", "any number", "1,234"]


def test_only_deployments_of_workers_count_as_scaled() -> None:
    """A collector's Deployment has a size as well."""
    sizes = Sizes(pool_of=workerpool.pool_of)
    worker = {COMPONENT_LABEL: "worker", POOL_LABEL: "a"}
    sizes.hear("ADDED", deployment("a-1", 2, **worker))
    sizes.hear("ADDED", deployment("b-1", 0, **worker))
    sizes.hear("ADDED", deployment("workerpool-collector", 2, **{COMPONENT_LABEL: "collector"}))
    assert (sizes.count(2), sizes.count(0), len(sizes.sizes)) == (1, 1, 2)
    sizes.hear("MODIFIED", deployment("b-1", 2, **worker))
    sizes.hear("DELETED", deployment("a-1", 2, **worker))
    assert (sizes.count(2), len(sizes.sizes)) == (1, 1)


def test_a_deployment_that_keda_scales_is_known_by_its_label() -> None:
    assert keda.pool_of(deployment("a", 0, **{keda.LABEL: "a"})) == "a"
    assert keda.pool_of(deployment("a", 0)) == ""
