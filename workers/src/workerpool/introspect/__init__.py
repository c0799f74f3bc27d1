"""A look inside a worker that runs: its jobs, tasks, threads and locks, and where its time goes.

Each process of a worker, those of the cpu lane too, listens on a socket that only its own container can reach (`door`).
`python -m workerpool.introspect dump|profile`, run beside it, asks all of them and prints JSON. `wpool dump` and
`wpool flame` run that in a pod, so they need the right to `exec` into it and nothing else: no port is open, and neither
the operator nor the collector takes part.

Stacks tell names, files and lines, and never the value of a variable: a payload does not leave the worker this way.
"""
