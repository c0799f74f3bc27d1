"""Kubernetes operator for queue workers."""
