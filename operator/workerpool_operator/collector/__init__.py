"""The collector: one small program per namespace that has pools.

It asks the brokers how deep their queues are, hears the workers, and tells the operator; orders come back the same
way. It holds the namespace's own credentials and no rights in Kubernetes but to see that namespace's pods.

`samplers` read queues at the pace of `cadence`, `workers` serves the workers' streams, `scrape` reads those without
one, `kubeapi` follows the namespace's pods, `board` holds what is known, `uplink` carries it to every replica of the
operator. No kubernetes client is imported: it alone would double the memory that this program needs.
"""
