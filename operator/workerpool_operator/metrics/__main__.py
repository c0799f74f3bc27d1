"""`python -m workerpool_operator.metrics` prints the table of the operator's metrics for the documentation."""

import sys
from collections.abc import Iterator

from prometheus_client import Metric

from workerpool_operator.metrics import Direction, OperatorMetrics, PoolSeries, VersionRole, table


def example() -> OperatorMetrics:
    """Metrics in which every family has a sample."""
    metrics = OperatorMetrics()
    metrics.reconciled(seconds=0.01, error="Conflict")
    metrics.api_request(verb="apply", kind="Deployment", code="200", seconds=0.01)
    metrics.api_retry(verb="list", kind="Deployment")
    metrics.metrics_request(code=200, seconds=0.001)
    versions = (VersionRole("0123abcd", "stable"),)
    series = PoolSeries(desired=1, replicas=1, mode="direct", limited_by=("maxReplicas",), versions=versions)
    metrics.pools.show("media", "thumbnails", series)
    metrics.pools.scaled("media", "thumbnails", Direction.UP)
    return metrics


def own_families(metrics: OperatorMetrics) -> Iterator[Metric]:
    """All families but those about the process, which every Prometheus client has."""
    return (family for family in metrics.registry.collect() if not family.name.startswith("process_"))


if __name__ == "__main__":
    sys.stdout.write(table.markdown(own_families(example())))
