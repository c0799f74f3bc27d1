"""What follows from the cluster and the installation."""

import pytest

from workerpool_operator.api import ScalingMode
from workerpool_operator.domain.cluster import ClusterFacts

OLD, EXACT, NEWER = (1, 34), (1, 35), (2, 0)


@pytest.mark.parametrize(
    ("kubernetes", "serves_metric", "mode"),
    [
        (EXACT, True, ScalingMode.HPA),
        (NEWER, True, ScalingMode.HPA),
        (OLD, True, ScalingMode.DIRECT),
        (None, True, ScalingMode.DIRECT),
        (EXACT, False, ScalingMode.DIRECT),
    ],
)
def test_auto_is_hpa_only_where_an_hpa_is_told_every_change_and_heeds_it(
    kubernetes: tuple[int, int] | None, *, serves_metric: bool, mode: ScalingMode
) -> None:
    facts = ClusterFacts(kubernetes=kubernetes, serves_metric=serves_metric)
    assert facts.mode(ScalingMode.AUTO) is mode


@pytest.mark.parametrize("mode", [ScalingMode.HPA, ScalingMode.DIRECT, ScalingMode.MANUAL])
@pytest.mark.parametrize("facts", [ClusterFacts(), ClusterFacts(kubernetes=EXACT, serves_metric=True)])
def test_a_mode_that_is_named_is_in_force_everywhere(mode: ScalingMode, facts: ClusterFacts) -> None:
    assert facts.mode(mode) is mode
