"""Running a worker by its name: the port for kubelet and SIGTERM first, the program and its libraries after them."""

from workerpool import _early

TYPE_CHECKING = False  # as `typing` has it, which takes longer to load than all that comes before the port
if TYPE_CHECKING:
    from workerpool import Worker


def run(program: str, *, health_port: int = 8080) -> None:
    """Load a worker and run it, as `Worker.run` does.

    A program that calls `Worker.run` itself has loaded its libraries by then, and while it did so kubelet's questions
    were refused: it asks again a whole period later. Here it gets its answer at the moment when the worker is ready.
    And a SIGTERM in that time is lost to it, where it is the first process of its container; here it ends the start.

    Args:
        program: Where the worker is: `package.module:name`.
        health_port: Where `/healthz` and `/ready` are, whatever the worker itself says; 0 chooses a free one.

    Exits with status 2 when there is no worker of that name.
    """
    _early.leave_at_sigterm()
    try:
        listener = _early.listen(health_port)
    except OSError:
        listener = None  # the server tries it again, and says why it cannot
    # Nothing is loaded before the port is open.
    from workerpool.runtime.signals import leave_at_sigterm  # noqa: PLC0415

    leave_at_sigterm()
    from workerpool.errors import ConfigurationError  # noqa: PLC0415
    from workerpool.runtime.health import HealthServer  # noqa: PLC0415

    try:
        health = HealthServer(health_port, listener=listener)
        worker = _load(program)
    except ConfigurationError as error:
        from workerpool._worker import refuse  # noqa: PLC0415

        refuse(error)
    worker.run(health=health)


def _load(program: str) -> "Worker":
    import gc  # noqa: PLC0415
    from importlib import import_module  # noqa: PLC0415

    from workerpool.errors import ConfigurationError  # noqa: PLC0415

    # What is loaded stays. Looking for garbage in it, again and again while it grows, takes a tenth of the time.
    gc.disable()
    try:
        module, _, name = program.partition(":")
        worker = getattr(import_module(module), name, None) if module and name else None
        from workerpool._worker import Worker  # noqa: PLC0415  the program has loaded it

        if not isinstance(worker, Worker):
            raise ConfigurationError(f"{program!r} is no worker: write package.module:name, where name is a Worker")
    finally:
        gc.freeze()
        gc.enable()
    return worker
