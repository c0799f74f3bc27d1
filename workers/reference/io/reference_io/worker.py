"""The worker: its handlers, and what they share."""

from workerpool import Worker

from .context import lifespan
from .fetch import TIMEOUT_SECONDS as FETCH_SECONDS
from .fetch import fetch
from .sleep import TIMEOUT_SECONDS as SLEEP_SECONDS
from .sleep import sleep

worker = Worker(lifespan=lifespan)
worker.job("fetch", timeout=FETCH_SECONDS)(fetch)
worker.job("sleep", timeout=SLEEP_SECONDS)(sleep)
