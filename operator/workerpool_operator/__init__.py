"""Kubernetes operator for queue workers."""

__version__ = "0.1.0"
