"""Kubernetes operator for queue workers."""

from typing import Final

__version__: Final = "0.1.0"
"""Version of the operator, its image and its chart. Read from here by the build: the image carries no metadata."""
