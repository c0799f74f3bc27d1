"""Objects of one kind, kept for as long as the page runs; what cannot be read is a sentence, and tried again."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from workerpool_operator.kube import ClusterAccess, Kube, KubeError, errors
from workerpool_operator.ui.home import Home
from workerpool_operator.ui.shared import Mirror, shown_by_nobody

Json = dict[str, Any]
Opener = Callable[[Callable[[float], None]], Mirror]

AWAY_SECONDS: Final = 1.0
REFUSED_SECONDS: Final = 15.0
PULSE_SECONDS: Final = 2.0
STANDING_SECONDS: Final = 10.0


class Bell:
    """Wakes all who wait for news."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def ring(self, *_: object) -> None:
        """There is news."""
        for event in self._waiting:
            event.set()

    async def wait(self, *, seconds: float) -> None:
        """Until there is news, or so long."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(event)


class Feed:
    """A `Mirror` that is opened again for as long as `run` runs."""

    def __init__(self, what: str, opener: Opener, *, bell: Bell) -> None:
        """`what`: said with a refusal, such as `pods`."""
        self.refusal = ""
        """Why nothing is shown, if so."""
        self.forbidden = False
        """Whether that is for want of a right."""
        self.read = False
        """Whether it was read at least once."""
        self._what = what
        self._opener = opener
        self._bell = bell
        self._mirror: Mirror | None = None
        self._again = asyncio.Event()

    @property
    def objects(self) -> Mapping[str, Json]:
        """As last known."""
        return self._mirror.objects if self._mirror else {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._once()

    def reopen(self) -> None:
        """Begin again with a listing: the watch may have died without a word."""
        self._again.set()

    async def _once(self) -> None:
        try:
            async with self._opener(self._bell.ring) as mirror:
                self._mirror, self.refusal, self.forbidden, self.read = mirror, "", False, True
                self._bell.ring()
                self._again.clear()
                await self._again.wait()
        except KubeError as error:
            self.forbidden = isinstance(error, errors.Forbidden)
            self.refusal = self._sentence(error)
            self._bell.ring()
            await asyncio.sleep(REFUSED_SECONDS if self.forbidden else AWAY_SECONDS)

    def _sentence(self, error: KubeError) -> str:
        if isinstance(error, errors.Forbidden):
            return f"You may not list and watch {self._what} here: ask for a role that lets you (get, list, watch)."
        if isinstance(error, errors.KindNotServed):
            return f"This cluster has no {self._what}. Is the operator installed, and not older than this wpool?"
        return f"{self._what.capitalize()} cannot be read: {error}"


class Pulse:
    """Whether the API server answers. A broken watch alone does not tell: it may be silent for minutes."""

    def __init__(
        self, kube: Kube, *, home: Home, bell: Bell, on_return: Callable[[], None], seconds: float = PULSE_SECONDS
    ) -> None:
        self.trouble = ""
        """Why the page stands still; empty while it does not."""
        self._kube = kube
        self._home = home
        self._bell = bell
        self._on_return = on_return
        self._seconds = seconds

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            before, self.trouble = self.trouble, await self._look()
            if before != self.trouble:
                self._bell.ring()
            if before and not self.trouble:
                self._on_return()
            await asyncio.sleep(self._seconds)

    async def _look(self) -> str:
        try:
            await self._kube.server_version()
        except errors.Unauthorized:
            return f"The API server no longer accepts your credentials. {self._home.sign_in}"
        except errors.Untrusted as error:
            return (
                f"The API server's certificate does not fit ({error.detail}), so nothing is asked of it and what you "
                f"see is as it was. {self._home.certificate}"
            )
        except KubeError as error:
            if error.retryable:
                return "The API server does not answer. What you see is as it was; the page goes on by itself."
        return ""


class Standing:
    """Whether an operator runs, by the rule of the commands. Without one, what pools say of themselves is old."""

    def __init__(self, access: ClusterAccess, *, namespace: str | None, bell: Bell) -> None:
        self.trouble = ""
        """That what is shown is old, and what to do; empty where one does, or the user may not see that."""
        self._access = access
        self._namespace = namespace
        self._bell = bell

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(STANDING_SECONDS)

    async def look(self) -> None:
        """Ask now."""
        why = await shown_by_nobody(self._access, self._namespace)
        told = f"{why[:1].upper()}{why[1:]}"
        if told != self.trouble:
            self.trouble = told
            self._bell.ring()
