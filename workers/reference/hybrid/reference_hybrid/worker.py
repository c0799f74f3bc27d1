"""The worker of the first stage; that of the second one is `reference_cpu`."""

from workerpool import Worker

from .context import lifespan
from .download import TIMEOUT_SECONDS, download

worker = Worker(lifespan=lifespan)
worker.job("download", timeout=TIMEOUT_SECONDS)(download)
