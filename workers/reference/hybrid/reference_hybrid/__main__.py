"""`python -m reference_hybrid`: the worker, configured by its environment."""

from workerpool import run

if __name__ == "__main__":
    run("reference_hybrid.worker:worker")
