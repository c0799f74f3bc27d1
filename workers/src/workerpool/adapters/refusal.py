"""How an adapter says that it cannot keep the contract: one log line, and the process ends."""

import importlib.metadata
import multiprocessing
import os
import signal
from collections.abc import Mapping
from typing import Final, NoReturn

from workerpool.adapters.bridge import contract_from
from workerpool.errors import ConfigurationError
from workerpool.runtime.contract import Contract
from workerpool.telemetry.logs import TextLog

EXIT_CONFIGURATION: Final = 2


def refuse(why: str) -> NoReturn:
    """End the process: nobody asks a worker whose ports are closed for jobs, and its pool shows it as not ready."""
    TextLog().error(f"cannot start: {why}")
    raise SystemExit(EXIT_CONFIGURATION)


def refuse_with_parent(why: str) -> NoReturn:
    """The same in a process that its library's first one may have started: that would start it anew, for ever."""
    if multiprocessing.parent_process() is not None:
        os.kill(os.getppid(), signal.SIGTERM)
    refuse(why)


def contract_or_refuse(env: Mapping[str, str] | None) -> Contract | None:
    """The contract of this process; None outside a pool. `env`: the environment, None for the process' own."""
    try:
        return contract_from(os.environ if env is None else env)
    except ConfigurationError as error:
        refuse(str(error))


def require_version(library: str, distribution: str, *, least: tuple[int, int], why: str) -> None:
    """Refuse a version that lacks what the adapter is built on.

    `least`: major and minor; `why`: what an older one lacks, "has no ...".
    """
    version = importlib.metadata.version(distribution)
    numbers = tuple(int(number) for number in version.split(".")[:2] if number.isdecimal())
    if numbers < least:
        needed = ".".join(str(number) for number in least)
        refuse(f"{library} {version} {why}: install {distribution}>={needed}")
