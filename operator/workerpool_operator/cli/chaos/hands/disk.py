"""A scratch volume of one worker is filled, from within; what fills it takes it away again by itself."""

import contextlib

from workerpool_operator.cli.chaos.hands.ground import Ground, Json, name
from workerpool_operator.cli.chaos.hands.kill import busy_worker
from workerpool_operator.cli.chaos.inside import program
from workerpool_operator.cli.cluster import TroubleError
from workerpool_operator.cli.look.remote import RemoteError, Target, run_in
from workerpool_operator.kube import errors

_FILL_SECONDS = 60.0
_MARGIN_SECONDS = 5.0


class FilledDisk:
    """See the module's text."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._pod: Json | None = None

    @property
    def victims(self) -> frozenset[str]:
        """See `Hands`: none, as that worker is not to be restarted either."""
        return frozenset()

    async def strike(self) -> str:
        """See `Hands`."""
        options = self._ground.options
        if not options.path:
            raise TroubleError("name the folder by --path: a volume of its own, such as an emptyDir of medium Memory")
        found = await busy_worker(self._ground)
        if not found:
            raise TroubleError(f"nothing was broken: {self._ground.pool} has no worker")
        self._pod = found[0]
        seconds = options.seconds + _MARGIN_SECONDS
        words = program("fill", options.path, f"{seconds:g}", str(options.most_mib))
        said = await run_in(self._ground.access, self._target(self._pod), words, seconds=_FILL_SECONDS)
        return f"{name(self._pod)}: {said.strip()}"

    async def healed(self) -> bool:
        """See `Hands`."""
        return True

    async def took(self) -> bool | None:
        """See `Hands`: it was full, else the stroke had failed."""
        return True

    async def mend(self) -> None:
        """See `Hands`. One that has ended has taken its volume with it, or starts with what is left to itself."""
        if self._pod is None:
            return
        words = program("fill", "clear", self._ground.options.path)
        with contextlib.suppress(RemoteError, errors.NotFound):
            await run_in(self._ground.access, self._target(self._pod), words, seconds=_FILL_SECONDS)

    def _target(self, pod: Json) -> Target:
        return Target(self._ground.namespace, name(pod), pod["spec"]["containers"][0]["name"])
