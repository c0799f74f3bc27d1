"""`python -m workerpool_operator.collector`: run the collector of one namespace."""

import asyncio
import signal
import sys

from prometheus_client import disable_created_metrics

from workerpool_operator import logs
from workerpool_operator.collector.app import Collector
from workerpool_operator.collector.config import CollectorConfig, ConfigError


async def _run(config: CollectorConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wish in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wish, stop.set)
    await Collector(config).run(stop)


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 0 then, 1 when a part failed, 2 when the environment is wrong."""
    try:
        config = CollectorConfig.from_environment()
    except ConfigError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201  before there are logs
        return 2
    disable_created_metrics()  # type: ignore[no-untyped-call]  # they double each counter, and nothing asks for them
    logs.configure(level=config.log_level.upper(), namespace=config.namespace)
    asyncio.run(_run(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
