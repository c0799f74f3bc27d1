"""What is kept of the past is bounded by time and by number."""

from workerpool_operator.kube.recent import Recent


class Clock:
    """Turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_set_is_known_until_it_has_not_been_set_for_so_long() -> None:
    clock = Clock()
    kept = Recent[str, int](seconds=60, limit=10, clock=clock)
    kept.set("a", 1)
    clock.now = 59
    kept.set("a", 2)
    clock.now = 118
    assert kept.get("a") == 2
    clock.now = 119
    assert kept.get("a") is None
    assert kept.get("b") is None


def test_what_is_gone_takes_no_room_however_many_come() -> None:
    clock = Clock()
    kept = Recent[str, int](seconds=60, limit=1000, clock=clock)
    for number in range(5000):
        clock.now = float(number)
        kept.set(f"pool-{number}", number)
    assert len(kept) == 60


def test_of_too_many_at_once_those_set_last_are_kept() -> None:
    kept = Recent[str, int](seconds=60, limit=2, clock=Clock())
    for number, key in enumerate(("a", "b", "a", "c")):
        kept.set(key, number)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (2, None, 3)


def test_what_is_forgotten_is_unknown_and_may_be_forgotten_again() -> None:
    kept = Recent[str, int](seconds=60, limit=2, clock=Clock())
    kept.set("a", 1)
    kept.forget("a")
    kept.forget("a")
    assert kept.get("a") is None
    assert len(kept) == 0
