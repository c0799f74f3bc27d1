"""Hands that use the Kubernetes API alone, with the user's own rights.

Imported only where a cluster is asked: the Kubernetes client takes a second.
"""
