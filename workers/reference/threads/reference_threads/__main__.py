"""`python -m reference_threads`: the worker, configured by its environment."""

from workerpool import run

if __name__ == "__main__":
    run("reference_threads.worker:worker")
