"""Depths that are asked for instead of read from a broker: of a Prometheus, or of any service that answers in JSON.

What comes back is a number of jobs or nothing: no workers are told of such a queue, and whatever is wrong with an
answer is a reason not to scale, never a 0.
"""

from workerpool_operator.collector.questions.sources import HttpQuestion, PrometheusQuestion

__all__ = ["HttpQuestion", "PrometheusQuestion"]
