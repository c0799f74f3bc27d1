"""`python -m workerpool_operator`: run the operator."""

import asyncio
import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from prometheus_client import disable_created_metrics

from workerpool_operator import garbage, logs
from workerpool_operator.controller.app import Operator
from workerpool_operator.controller.config import HELP, ConfigError, OperatorConfig
from workerpool_operator.kube import AccessError, ClusterAccess


async def _run(config: OperatorConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heed_signals() -> None:
        for wish in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(wish, stop.set)

    heed_signals()
    access = await ClusterAccess.find()
    await Operator(config, access, heed_signals=heed_signals).run(stop)


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code 0 then, 1 when a part failed, 2 when the configuration is wrong."""
    parser = ArgumentParser(
        prog="python -m workerpool_operator",
        description="Runs the WorkerPool operator.",
        epilog=HELP,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        config = OperatorConfig.from_environment()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they double each counter, and nothing asks for them
        logs.configure(level=config.log_level.upper())
        garbage.calm()
        asyncio.run(_run(config))
    except (ConfigError, AccessError) as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201  before there are logs
        return 2
    except RuntimeError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
