"""The real KEDA in the cluster, by the manifests that it publishes."""
