"""What the benchmark of reaction alone writes."""

from bench.reaction.smoke import AIMS, Awake, Figures
from workerpool_operator.cli.quantiles import Quantiles


def test_the_object_for_machines_has_exactly_these_keys() -> None:
    figures = Figures(
        idle_starts=Quantiles.of([0.01, 0.02]),
        decisions=[0.3, 0.5, 0.4],
        direct=Awake(first_ready=[2.0, 1.0, 3.0], twelve_ready=[6.0, 5.0, 7.0]),
        hpa=Awake(first_ready=[2.5, 1.5, 3.5], twelve_ready=[6.5, 5.5, 7.5]),
    )
    assert figures.to_json() == {
        "direct_idle_start_p95_seconds": 0.02,
        "direct_burst_decision_p95_seconds": 0.5,
        "from_zero_first_ready_median_seconds": 2.0,
        "from_zero_twelve_ready_median_seconds": 6.0,
        "hpa_15s_first_ready_median_seconds": 2.5,
        "hpa_15s_twelve_ready_median_seconds": 6.5,
    }
    assert [aim.name for aim in AIMS] == list(figures.to_json())
