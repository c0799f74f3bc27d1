"""Which of a worker's settings its brokers can hold: what one cannot is refused at the start, not when it is due."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from workerpool._source import Source
from workerpool.broker import Capabilities
from workerpool.errors import ConfigurationError
from workerpool.runtime.live import Orders, Policy


class _Need(NamedTuple):
    variable: str
    setting: str
    """Of the policy."""
    nothing: Any
    """Its value when it is not set."""
    met: Callable[[Capabilities], bool]
    why: str


_NEEDS: Final = (
    _Need("TENANT_LIMITS", "tenant_limits", {}, lambda can: can.tenant_limits, "count by tenant"),
    _Need("SHED_AFTER_SECONDS", "shed_after", {}, lambda can: can.expiry, "dead-letter jobs that waited too long"),
)


def require(policy: Policy, sources: Sequence[Source]) -> None:
    """Refuse what one of the queues cannot do.

    Raises:
        ConfigurationError: the text names the variable.
    """
    if _asks(policy):
        for source in sources:
            for need in _unmet(policy, source.connect().capabilities):
                raise ConfigurationError(
                    f"{need.variable}: queue {source.name} is in {source.system}, which cannot {need.why}: leave it out"
                )


class Possible:
    """What a running worker is told, without what cannot be done: it says so once for each setting, and goes on."""

    def __init__(self, sources: Sequence[Source], *, log: Any) -> None:
        self._sources = sources
        self._log = log
        self._said: set[str] = set()

    def __call__(self, orders: Orders) -> Orders:
        """The orders that can be obeyed."""
        policy = orders.policy
        if policy is None or not _asks(policy):
            return orders
        for source in self._sources:
            for need in _unmet(policy, source.connect().capabilities):
                policy = replace(policy, **{need.setting: need.nothing})
                if need.setting not in self._said:
                    self._said.add(need.setting)
                    self._log.error("this broker cannot do that", setting=need.setting, queue=source.name)
        return replace(orders, policy=policy)


def _asks(policy: Policy) -> bool:
    return any(getattr(policy, need.setting) != need.nothing for need in _NEEDS)


def _unmet(policy: Policy, can: Capabilities) -> list[_Need]:
    return [need for need in _NEEDS if getattr(policy, need.setting) != need.nothing and not need.met(can)]
