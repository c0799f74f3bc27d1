"""`python -m reference_io`: the worker, configured by its environment."""

from workerpool import run

if __name__ == "__main__":
    run("reference_io.worker:worker")
