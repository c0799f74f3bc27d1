"""Token buckets on every broker: one limit for all who draw."""

import asyncio
import time

import pytest

from tests.component.sdk.conformance import Open, another, broker
from tests.support.waiting import until
from workerpool import ConfigurationError
from workerpool.broker import Broker, Tokens

pytestmark = [pytest.mark.component, pytest.mark.needs("tokens")]
RATE, BURST, BATCH = 400.0, 20.0, 5

__all__ = ["another", "broker"]  # fixtures


async def test_a_full_bucket_gives_its_burst_and_says_when_there_is_more(broker: Broker, another: Open) -> None:
    assert broker.capabilities.tokens
    assert await broker.take_tokens("b", count=7, rate=0.01, burst=10) == Tokens(7, 0.0)
    rest = await another().take_tokens("b", count=7, rate=0.01, burst=10)
    assert rest.granted == 3
    assert 300 < rest.retry_after <= 400
    assert (await broker.take_tokens("b", count=1, rate=0.01, burst=10)).granted == 0
    assert (await broker.take_tokens("another", count=1, rate=0.01, burst=10)).granted == 1


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 5.0), (-1.0, 5.0), (1.0, 0.5), (float("nan"), 5.0)])
async def test_a_bucket_that_could_never_give_anything_is_refused(broker: Broker, rate: float, burst: float) -> None:
    """Else whoever waits for it would ask without end."""
    with pytest.raises(ConfigurationError):
        await broker.take_tokens("b", count=1, rate=rate, burst=burst)


async def test_what_was_not_spent_is_there_for_others(broker: Broker, another: Open) -> None:
    assert (await broker.take_tokens("b", count=10, rate=0.01, burst=10)).granted == 10
    assert await broker.take_tokens("b", count=-4, rate=0.01, burst=10) == Tokens(-4, 0.0)
    assert (await another().take_tokens("b", count=7, rate=0.01, burst=10)).granted == 4
    await broker.take_tokens("b", count=-99, rate=0.01, burst=10)
    assert (await broker.take_tokens("b", count=99, rate=0.01, burst=10)).granted == 10, "no more than it holds"


async def test_a_bucket_fills_again(broker: Broker) -> None:
    assert (await broker.take_tokens("b", count=2, rate=20.0, burst=2)).granted == 2
    tokens = Tokens(2, 0.0)

    async def empty() -> bool:
        """It is full again when this machine has stood still since."""
        nonlocal tokens
        tokens = await broker.take_tokens("b", count=2, rate=20.0, burst=2)
        return tokens.granted < 2

    await until(empty, what="a bucket without tokens for all")
    await asyncio.sleep(tokens.retry_after + 0.01)
    assert (await broker.take_tokens("b", count=2 - tokens.granted, rate=20.0, burst=2)).retry_after == 0.0


@pytest.mark.parametrize("consumers", [1, 10])
async def test_however_many_draw_the_rate_is_that_of_the_bucket(another: Open, consumers: int) -> None:
    """Never above it; and not more than a tenth below, which a stall of this machine may spoil, but not every time."""
    rates: list[float] = []
    while len(rates) < 20 and not any(rate >= 0.9 * RATE for rate in rates):
        rates.append(await _rate([another() for _ in range(consumers)], f"b{len(rates)}"))
        assert rates[-1] <= 1.1 * RATE, rates
    assert rates[-1] >= 0.9 * RATE, rates


async def _rate(brokers: list[Broker], bucket: str, *, seconds: float = 1.0) -> float:
    drawn = 0

    async def draw(broker: Broker) -> None:
        nonlocal drawn
        while time.monotonic() < end:
            tokens = await broker.take_tokens(bucket, count=BATCH, rate=RATE, burst=BURST)
            drawn += tokens.granted
            await asyncio.sleep(tokens.retry_after)

    began = time.monotonic()  # before the bucket is emptied: it fills from then on, however late we hear of it
    await brokers[0].take_tokens(bucket, count=int(BURST), rate=RATE, burst=BURST)
    end = time.monotonic() + seconds
    await asyncio.gather(*(draw(broker) for broker in brokers))
    return drawn / (time.monotonic() - began)
