"""A job that moves fits where it goes."""

from workerpool.broker._kafka.wire import Outgoing, fitting, size


def test_what_fits_stays_as_it_is() -> None:
    one = Outgoing("t", b"1", {"type": "t", "dead.traceback": "x" * 50})
    assert fitting(one, most=size(one)) is one


def test_what_does_not_fit_goes_without_what_it_can_do_without() -> None:
    one = Outgoing("t", b"1" * 100, {"type": "t", "dead.traceback": "x" * 50, "checkpoint": "y" * 50})
    assert fitting(one, most=180).headers == {"type": "t", "checkpoint": "y" * 50}
    assert fitting(one, most=110).headers == {"type": "t"}
