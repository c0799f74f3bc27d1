"""What the process that answers counts reaches the operator's metrics."""

from workerpool_operator.metrics import OperatorMetrics
from workerpool_operator.metrics_api import tally
from workerpool_operator.metrics_api.messages import LINE_BYTES
from workerpool_operator.metrics_api.tally import Tally, count


def counted(metrics: OperatorMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"workerpool_operator_{name}", labels)


def test_everything_is_counted_once() -> None:
    metrics, held = OperatorMetrics(), Tally()
    held.metrics_request(kind="values", code=200, seconds=0.002)
    held.metrics_request(kind="other", code=401, seconds=0.001)
    held.api_request(verb="create", kind="TokenReview", code="201", seconds=0.01)
    held.api_retry(verb="list", kind="Pod")
    count(held.line(), metrics)
    count(held.line(), metrics)
    assert counted(metrics, "external_metrics_requests_total", kind="values", code="200") == 1
    assert counted(metrics, "external_metrics_requests_total", kind="other", code="401") == 1
    assert counted(metrics, "external_metrics_request_seconds_sum") == 0.003
    assert counted(metrics, "api_requests_total", verb="create", kind="TokenReview", code="201") == 1
    assert counted(metrics, "api_retries_total", verb="list", kind="Pod") == 1


def test_it_says_when_the_port_is_open() -> None:
    held = Tally()
    assert not count(held.line(), OperatorMetrics())
    held.serving()
    assert count(held.line(), OperatorMetrics())
    assert count(held.line(), OperatorMetrics())


def test_what_nobody_fetches_costs_a_bounded_amount_of_memory_and_fits_a_line() -> None:
    held = Tally()
    for _ in range(tally.MOST_HELD + 5):
        held.metrics_request(kind="values", code=200, seconds=0.0123456789012345)
    metrics, line = OperatorMetrics(), held.line()
    count(line, metrics)
    assert counted(metrics, "external_metrics_requests_total", kind="values", code="200") == tally.MOST_HELD
    assert len(line) < LINE_BYTES
