"""Which service accounts pools may name: those that their namespace has given away, by a label.

Asked of the API server by one LIST for a name, and remembered for some seconds: few pools name one. Not watched: that
would be all service accounts of the cluster for the few of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from workerpool_operator.domain.desired import USABLE_LABEL
from workerpool_operator.kube import Kube, kinds

REMEMBER_SECONDS: Final = 10.0
"""Shorter than the pause after which a pool looks again whose account may not be used."""
_MOST: Final = 10_000

_clock: Final = time.monotonic


@dataclass(slots=True, kw_only=True)
class Accounts:
    """What is known of the accounts that somebody has asked about."""

    kube: Kube
    clock: Callable[[], float] = _clock
    _known: dict[tuple[str, str], tuple[float, bool]] = field(default_factory=dict)
    """(namespace, name) -> when it was asked about, and the answer."""

    async def usable(self, namespace: str, name: str) -> bool:
        """Whether it is there and labelled. Raises KubeError where nobody can say."""
        now = self.clock()
        asked_at, answer = self._known.get((namespace, name), (-REMEMBER_SECONDS, False))
        if now - asked_at < REMEMBER_SECONDS:
            return answer
        found = await self.kube.list(
            kinds.SERVICE_ACCOUNT,
            namespace=namespace,
            field_selector=f"metadata.name={name}",
            label_selector=f"{USABLE_LABEL}=true",
        ).all()
        while len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[namespace, name] = now, bool(found)
        return bool(found)
