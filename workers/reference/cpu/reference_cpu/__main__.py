"""`python -m reference_cpu`: the worker, configured by its environment."""

from workerpool import run

if __name__ == "__main__":
    run("reference_cpu.worker:worker")
