"""`python -m reference_io`: the worker, configured by its environment."""

from workerpool import Worker

from .records import Records
from .sleep import TIMEOUT_SECONDS, sleep

worker = Worker(lifespan=Records.opened)
worker.job("sleep", timeout=TIMEOUT_SECONDS)(sleep)

if __name__ == "__main__":
    worker.run()
