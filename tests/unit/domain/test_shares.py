"""A pool's rate limit in shares: each the same in the end, and never in sum above it, whatever comes late."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from workerpool_operator.domain.scaling import Report, Share, Shares, divide
from workerpool_operator.domain.scaling.shares import LOOK_SECONDS, STRANGE_SECONDS

RATE = 12.0


def worker(uid: str, share: Share | None = None, *, connected: bool = True) -> Report:
    return Report(uid=uid, age=0.0, in_flight=0, fence="", fenceable=True, connected=connected, share=share)


def told(
    reports: list[Report],
    before: Shares | None = None,
    *,
    unheard: Mapping[str, float] | None = None,
    rate: float | None = RATE,
) -> Shares:
    return divide(before or Shares(), reports, unheard or {}, rate=rate, epoch=3)


def obeyed(reports: list[Report], shares: Shares) -> list[Report]:
    """The same workers, after they have heard of their newest shares."""
    return [replace(report, share=shares.newest.get(report.uid, report.share)) for report in reports]


def settled(
    reports: list[Report],
    before: Shares | None = None,
    *,
    unheard: Mapping[str, float] | None = None,
    rate: float | None = RATE,
) -> Shares:
    """When all have heard all."""
    shares = told(reports, before, unheard=unheard, rate=rate)
    for _ in range(3):
        shares = told(obeyed(reports, shares), shares, unheard=unheard, rate=rate)
    return shares


def rates(shares: Shares) -> dict[str, float]:
    return {uid: share.per_second for uid, share in shares.newest.items()}


def test_workers_that_are_heard_have_the_same() -> None:
    assert rates(told([worker("a"), worker("b"), worker("c")])) == {"a": 4.0, "b": 4.0, "c": 4.0}


def test_without_a_limit_or_workers_there_are_none() -> None:
    shares = told([worker("a")])
    assert told([worker("a")], shares, rate=None).newest == {}
    assert told([]).newest == {}
    assert told([replace(worker("a"), fenceable=False)]).newest == {}, "one on the bare contract obeys none"


def test_a_limit_that_three_cannot_share_evenly_is_not_rounded_up() -> None:
    assert rates(told([worker("a"), worker("b"), worker("c")], rate=1.0)) == {"a": 0.3333, "b": 0.3333, "c": 0.3333}


def test_who_comes_is_given_what_the_others_say_they_have_given_up() -> None:
    alone = settled([worker("a")])
    both = [worker("a", alone.newest["a"]), worker("b")]
    shares = told(both, alone)
    assert rates(shares) == {"a": 6.0}
    assert rates(told(both, shares)) == {"a": 6.0}, "a has not said so yet"
    assert rates(told(obeyed(both, shares), shares)) == {"a": 6.0, "b": 6.0}


def test_who_leaves_gives_up_what_it_had_before_others_have_it() -> None:
    both = [worker("a"), worker("b")]
    shares = settled(both)
    for leaving in (replace(both[1], ending=True), replace(both[1], fence="3.1")):
        there = obeyed([both[0], leaving], shares)
        going = told(there, shares)
        assert rates(going) == {"a": 6.0, "b": 0.0}
        assert rates(told(obeyed(there, going), going)) == {"a": 12.0, "b": 0.0}


def test_who_drains_takes_nothing_and_who_is_gone_neither() -> None:
    both = [worker("a"), worker("b")]
    shares = settled(both)
    assert rates(told([*obeyed(both[:1], shares), replace(both[1], draining=True)], shares)) == {"a": 12.0}
    assert rates(told(obeyed(both[:1], shares), shares)) == {"a": 12.0}


def test_who_is_silent_goes_by_its_last_share_until_its_pod_is_gone() -> None:
    there = [worker("a"), worker("b"), worker("c")]
    shares = settled(there)
    silent = [*obeyed(there[:2], shares), worker("c", shares.newest["c"], connected=False)]
    assert rates(settled(silent, shares)) == {"a": 4.0, "b": 4.0, "c": 4.0}
    unheard = settled(obeyed(there[:2], shares), shares, unheard={"c": 300.0})
    assert rates(unheard) == {"a": 4.0, "b": 4.0, "c": 4.0}, "a collector that began anew has not heard it"
    assert rates(settled(silent, shares, rate=6.0)) == {"a": 1.0, "b": 1.0, "c": 4.0}
    assert rates(settled(silent, shares, rate=3.0)) == {"a": 0.0, "b": 0.0, "c": 4.0}, "it cannot be told"


def test_an_order_that_was_not_answered_counts_until_a_newer_one_is() -> None:
    """Also where several came in between, of which the worker has heard nobody knows which."""
    shares = settled([worker("a")])
    first = shares.newest["a"]
    for rate in (24.0, 3.0, 2.0, 1.0):
        shares = told([worker("a", first)], shares, rate=rate)
    assert max(share.per_second for share in shares.orders["a"]) == 24.0
    assert len(shares.orders["a"]) == 2
    middle = Share("3.3", 3.0)
    shares = told([worker("a", middle)], shares, rate=1.0)
    assert shares.orders["a"][0] == middle
    assert [share.per_second for share in settled([worker("a", shares.newest["a"])], shares, rate=1.0).orders["a"]] == [
        1.0
    ]


def test_a_new_leader_takes_over_what_workers_say_they_have() -> None:
    there = [worker("a", Share("2.7", 6.0)), worker("b", Share("2.8", 6.0))]
    assert rates(told(there)) == {"a": 6.0, "b": 6.0}
    assert rates(told([*there, worker("c")])) == {"a": 4.0, "b": 4.0}
    assert told(there).serial == 0, "nothing is ordered anew"


def test_while_a_ready_stranger_may_still_say_what_it_has_nobody_is_given_more() -> None:
    alone = [worker("a", Share("2.7", 6.0))]
    young = told(alone, unheard={"b": STRANGE_SECONDS - 1})
    assert (rates(young), young.look_again) == ({"a": 6.0}, LOOK_SECONDS)
    assert told([worker("a")], unheard={"b": 1.0}).newest == {}
    old = told([worker("a")], unheard={"b": STRANGE_SECONDS})
    assert (rates(old), old.look_again) == ({"a": 6.0}, None), "it counts as one that has as much"


def test_room_that_others_make_one_by_one_costs_no_order_for_each() -> None:
    """Half of an equal share at once, or the rest of it."""
    many = [worker(f"w{number:02}") for number in range(20)]
    shares = settled(many, rate=100.0)
    there, orders = [*obeyed(many, shares), worker("new")], 0
    for number in range(20):
        before = shares.serial
        shares = told(there, shares, rate=100.0)
        orders += shares.serial - before
        there[number] = replace(there[number], share=shares.newest[there[number].uid])
    shares = told(there, shares, rate=100.0)
    assert shares.newest["new"].per_second == 4.761
    assert orders <= 20 + 2


@dataclass
class Pod:
    """A worker and its way to the operator and back: nothing is lost, and anything may be late."""

    share: Share | None = None
    said: Share | None = None
    down: deque[Share] = field(default_factory=deque)
    up: deque[Share] = field(default_factory=deque)
    connected: bool = True


@dataclass
class World:
    """One leader, and the workers of a pool on a broker that cannot count."""

    shares: Shares = field(default_factory=Shares)
    pods: dict[str, Pod] = field(default_factory=dict)

    def reconcile(self) -> None:
        reports = [worker(uid, pod.said, connected=pod.connected) for uid, pod in self.pods.items()]
        self.shares = told(reports, self.shares)
        for uid, share in self.shares.newest.items():
            pod = self.pods[uid]
            newest = pod.down[-1] if pod.down else pod.share
            if pod.connected and newest != share:
                pod.down.append(share)

    def step(self, what: str, uid: str) -> None:
        """One thing happens."""
        pod = self.pods.get(uid)
        if what == "come":
            self.pods.setdefault(uid, Pod())
        elif pod is None or what == "reconcile":
            self.reconcile()
        elif what == "go":
            del self.pods[uid]
        elif what == "break":
            pod.connected = not pod.connected
        elif what == "hear" and pod.down:
            pod.share = pod.down.popleft()
            pod.up.append(pod.share)
        elif what == "say" and pod.up:
            pod.said = pod.up.popleft()

    @property
    def in_force(self) -> float:
        return sum(pod.share.per_second for pod in self.pods.values() if pod.share is not None)


_THINGS = st.sampled_from(["come", "come", "go", "break", "reconcile", "reconcile", "hear", "hear", "say", "say"])


@settings(max_examples=300)
@given(things=st.lists(st.tuples(_THINGS, st.sampled_from("abcdef")), max_size=120))
def test_the_shares_in_force_are_never_in_sum_above_the_limit(things: list[tuple[str, str]]) -> None:
    world = World()
    for what, uid in things:
        world.step(what, uid)
        assert world.in_force <= RATE * (1 + 1e-9)
    for pod in world.pods.values():
        pod.connected = True
    for _ in range(4):
        world.reconcile()
        for uid, pod in world.pods.items():
            while pod.down or pod.up:
                world.step("hear", uid)
                world.step("say", uid)
    for pod in world.pods.values():
        assert pod.share is not None
        assert abs(pod.share.per_second - RATE / len(world.pods)) < 0.01, "when all is quiet each has the same"
