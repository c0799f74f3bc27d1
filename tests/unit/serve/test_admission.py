"""Who has to leave when there are too many connections."""

from dataclasses import dataclass

from workerpool_operator.serve.admission import Admission


@dataclass(eq=False)
class Guest:
    """Knows whether it was cut."""

    is_cut: bool = False

    def cut(self) -> None:
        self.is_cut = True


def enter(admission: Admission, address: str, number: int = 1) -> list[Guest]:
    guests = [Guest() for _ in range(number)]
    for guest in guests:
        admission.enter(guest, address)
    return guests


def cut(guests: list[Guest]) -> list[int]:
    """Which of them were cut, by number."""
    return [number for number, guest in enumerate(guests) if guest.is_cut]


def test_there_is_room_for_so_many() -> None:
    assert cut(enter(Admission(strangers=3, vouched=1), "10.0.0.1", 3)) == []


def test_the_crowds_oldest_leaves() -> None:
    admission = Admission(strangers=4, vouched=1)
    crowd = enter(admission, "10.0.0.1", 3)
    others = enter(admission, "10.0.0.2", 2)
    assert (cut(crowd), cut(others)) == ([0], [])


def test_a_crowd_pushes_out_nobody_but_itself() -> None:
    admission = Admission(strangers=8, vouched=1)
    server = enter(admission, "10.0.0.1", 2)
    crowd = enter(admission, "10.0.0.2", 100)
    more = enter(admission, "10.0.0.3", 100)
    assert (cut(server), cut(crowd), cut(more)) == ([], list(range(97)), list(range(97)))


def test_who_is_vouched_for_stays_whatever_comes_from_its_address() -> None:
    admission = Admission(strangers=4, vouched=1)
    [server] = enter(admission, "10.0.0.1")
    admission.vouch(server)
    assert cut(enter(admission, "10.0.0.1", 5)) == [0]
    assert not server.is_cut


def test_beyond_the_limit_it_stays_a_stranger() -> None:
    admission = Admission(strangers=2, vouched=1)
    first, second = enter(admission, "10.0.0.1", 2)
    admission.vouch(first)
    admission.vouch(second)
    enter(admission, "10.0.0.1", 2)
    assert (first.is_cut, second.is_cut) == (False, True)
    admission.leave(first)
    [third] = enter(admission, "10.0.0.1")
    admission.vouch(third)
    enter(admission, "10.0.0.1", 5)
    assert not third.is_cut


def test_who_leaves_makes_room() -> None:
    admission = Admission(strangers=2, vouched=1)
    first, second = enter(admission, "10.0.0.1", 2)
    admission.leave(first)
    admission.leave(first)
    enter(admission, "10.0.0.2")
    assert not second.is_cut


def test_nobody_vouches_for_who_has_left() -> None:
    admission = Admission(strangers=1, vouched=1)
    first, second = enter(admission, "10.0.0.1", 2)
    admission.vouch(first)
    admission.vouch(second)
    enter(admission, "10.0.0.1", 2)
    assert (first.is_cut, second.is_cut) == (True, False)
