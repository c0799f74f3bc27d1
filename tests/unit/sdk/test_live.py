"""Live settings and the retry delay."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from workerpool.broker import TenantLimit
from workerpool.runtime.live import LiveSettings, Orders, Policy, Share, retry_delay

DEFAULTS = Policy(max_attempts=5, backoff_seconds=1, backoff_max_seconds=60, lease_seconds=60)
SAID = Policy(max_attempts=1, backoff_seconds=2, backoff_max_seconds=3, lease_seconds=4)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_settings_hold_until_they_lapse() -> None:
    clock = Clock()
    live = LiveSettings(DEFAULTS, clock=clock)
    assert (live.fence, live.policy, live.lapses_in) == ("", DEFAULTS, None)
    live.apply(Orders(fence="f", policy=SAID, ttl_seconds=30))
    clock.now += 29.9
    assert (live.fence, live.policy) == ("f", SAID)
    clock.now += 0.2
    assert (live.fence, live.policy, live.lapses_in) == ("", DEFAULTS, None)


def test_limits_outlast_the_settings_until_a_newer_word() -> None:
    """Else a pool would flood what its limit protects whenever its collector is away."""
    clock = Clock()
    limits: dict[str, Any] = {
        "rate_limit_per_second": 2.0,
        "concurrency_per_worker": 3,
        "tenant_limits": {"a": TenantLimit(1.0)},
        "shed_after": {"low": 9.0},
    }
    live = LiveSettings(replace(DEFAULTS, rate_limit_per_second=7.0), clock=clock)
    live.apply(Orders(policy=replace(SAID, **limits), ttl_seconds=30))
    clock.now += 31
    assert live.policy == replace(DEFAULTS, **limits)
    live.apply(Orders(ttl_seconds=30))
    assert live.policy == replace(DEFAULTS, **limits), "settings without a policy say nothing about them"
    live.apply(Orders(policy=SAID, ttl_seconds=30))
    assert live.policy == SAID
    clock.now += 31
    assert live.policy == DEFAULTS


def test_what_is_slow_is_the_environments_until_the_pool_says_so_and_outlasts_the_settings() -> None:
    clock = Clock()
    live = LiveSettings(DEFAULTS, slow_after=7.0, clock=clock)
    live.apply(Orders(policy=SAID))
    assert live.slow_after == 7.0
    live.apply(Orders(policy=replace(SAID, slow_after=0.5), ttl_seconds=30))
    assert live.slow_after == 0.5
    clock.now += 31
    assert live.slow_after == 0.5, "the operator is away: both versions go on as they were"
    live.apply(Orders(policy=SAID))
    assert live.slow_after == 7.0


def test_a_share_outlasts_the_settings_and_ends_with_its_limit() -> None:
    clock = Clock()
    live = LiveSettings(DEFAULTS, clock=clock)
    limited = replace(SAID, rate_limit_per_second=9.0)
    assert LiveSettings(DEFAULTS, clock=clock).share is None
    live.apply(Orders(policy=limited, share=Share("1.1", 3.0), ttl_seconds=30))
    clock.now += 31
    assert live.share == Share("1.1", 3.0)
    live.apply(Orders(policy=limited))
    live.apply(Orders())
    assert live.share == Share("1.1", 3.0), "nothing new was said of it"
    live.apply(Orders(policy=limited, share=Share("1.2", 0.0)))
    assert live.share == Share("1.2", 0.0)
    live.apply(Orders(policy=SAID, share=Share("1.2", 0.0)))
    assert live.share is None


def test_newer_settings_replace_the_whole() -> None:
    live = LiveSettings(DEFAULTS, clock=Clock())
    live.apply(Orders(fence="f", policy=SAID))
    live.apply(Orders())
    assert (live.fence, live.policy) == ("", DEFAULTS)


def test_newer_settings_renew_the_time() -> None:
    clock = Clock()
    live = LiveSettings(DEFAULTS, clock=clock)
    live.apply(Orders(fence="f", ttl_seconds=10))
    clock.now += 9
    live.apply(Orders(fence="f", ttl_seconds=10))
    clock.now += 9
    assert live.fence == "f"


@given(failures=st.integers(1, 10_000), chance=st.floats(0, 1), base=st.floats(0, 1e3), cap=st.floats(0, 1e4))
def test_the_delay_stays_within_the_cap_and_the_exponential(
    failures: int, chance: float, base: float, cap: float
) -> None:
    policy = Policy(max_attempts=5, backoff_seconds=base, backoff_max_seconds=cap, lease_seconds=60)
    delay = retry_delay(policy, failures=failures, chance=lambda: chance)
    assert 0 <= delay <= cap
    assert delay <= base * 2.0 ** min(failures - 1, 62)


def test_the_ceiling_doubles_from_the_base_to_the_cap() -> None:
    delays = [retry_delay(DEFAULTS, failures=failures, chance=lambda: 1.0) for failures in range(1, 9)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
