"""The worker: its handler, and what its threads share."""

from workerpool import Worker

from .context import lifespan
from .deliver import TIMEOUT_SECONDS, deliver

worker = Worker(lifespan=lifespan)
worker.job("deliver", timeout=TIMEOUT_SECONDS, kind="thread")(deliver)
