"""Measurements. Nothing here is a test: figures go to docs/performance.md, with the command that gives them."""
