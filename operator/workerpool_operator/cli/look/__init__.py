"""`wpool dump` and `wpool flame`: what a live worker is doing.

They run `python -m workerpool.introspect` in the worker's container, with the user's own right to `exec` there.
"""
