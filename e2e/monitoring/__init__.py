"""A real Prometheus in the cluster, and the real prometheus-adapter beside it.

No prometheus-operator runs here: `translate` does what it would do with the PodMonitors, ServiceMonitors and
PrometheusRules of the cluster, and `prometheus` runs Prometheus on the result. `adapter` serves the external metrics
API out of it, by the rule that is shipped to users.
"""
