"""Jobs as JetStream's messages."""

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.aio.msg import Msg

from workerpool.broker import DeadLetter, DeathReason, NewJob, Priority
from workerpool.broker._nats.wire import Delivery, dead_from, death, headers_of, scheduled, taken_from
from workerpool.broker._types import TraceContext

NOW = 1_700_000_000.0
REPLY = f"$JS.ACK.jobs.g.1.17.23.{int(NOW - 5) * 10**9}.0"


def message(headers: dict[str, str], payload: bytes = b"1", reply: str = REPLY) -> Msg:
    return Msg(Client(), subject="jobs.jobs", reply=reply, data=payload, headers=headers)


def through_the_wire(headers: dict[str, str]) -> dict[str, str]:
    """What comes out of nats-py at the other end."""
    raw = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return Client._parse_header_lines(raw)


def test_where_a_message_comes_from_stands_in_the_subject_of_its_end() -> None:
    assert Delivery.of(REPLY) == Delivery(17, 1, NOW - 5)
    assert Delivery.of(f"$JS.ACK.hub.ACC.jobs.g.3.17.23.{int(NOW) * 10**9}.0.token") == Delivery(17, 3, NOW)


text = st.text(min_size=1, max_size=30)


@given(type_=text, job_id=text, tenant=text, key=text, parent=text, state=text)
def test_whatever_a_job_says_comes_out_as_it_was(
    *, type_: str, job_id: str, tenant: str, key: str, parent: str, state: str
) -> None:
    job = NewJob(
        type=type_,
        payload=b"[1]",
        job_id=job_id,
        tenant=tenant,
        ordering_key=key,
        priority=Priority.HIGH,
        trace=TraceContext(parent, state),
        expires_in=10,
    )
    headers = through_the_wire(headers_of(job, now=NOW))
    taken = taken_from(message(headers, b"[1]"), Delivery.of(REPLY), now=NOW)
    assert (taken.type, taken.job_id, taken.tenant, taken.ordering_key) == (type_, job_id, tenant, key)
    assert (taken.trace, taken.priority, taken.payload) == (TraceContext(parent, state), "high", b"[1]")
    assert (taken.attempt, taken.waited, taken.expired, taken.malformed) == (1, 5.0, False, "")
    assert taken_from(message(headers), Delivery.of(REPLY), now=NOW + 10).expired


def test_a_plain_job_is_its_type_and_its_payload() -> None:
    assert headers_of(NewJob(type="resize", payload=b"1"), now=NOW) == {"type": "resize"}
    taken = taken_from(message({"type": "resize"}), Delivery.of(REPLY), now=NOW)
    assert (taken.job_id, taken.redelivered, taken.plain) == ("17", False, True)


def test_what_is_no_job_is_said() -> None:
    def wrong(headers: dict[str, str] | None) -> str:
        return taken_from(message(headers or {}), Delivery.of(REPLY), now=NOW).malformed

    assert wrong(None) == "no header 'type'"
    assert "attempt" in wrong({"type": "t", "attempt": "-1"})
    assert "attempt" in wrong({"type": "t", "attempt": "9" * 40})
    assert "due" in wrong({"type": "t", "due": "soon"})


def test_a_job_that_is_not_due_is_a_message_that_the_server_schedules() -> None:
    assert scheduled({"type": "t"}, target="jobs.jobs", at=NOW + 0.25) == {
        "type": "t",
        "Nats-Schedule": "@at 2023-11-14T22:13:20.250Z",
        "Nats-Schedule-Target": "jobs.jobs",
    }


@given(error=st.text(max_size=5000), trace=st.text(max_size=20_000))
def test_a_dead_letter_says_why_and_fits_into_the_headers_of_a_message(error: str, trace: str) -> None:
    job = taken_from(message({"type": "t", "attempt": "4"}), Delivery.of(REPLY), now=NOW)
    headers = death(DeadLetter(job, DeathReason.MAX_ATTEMPTS, error, trace, "v1", "w"), now=NOW)
    assert sum(len(name) + len(value.encode()) for name, value in headers.items()) < 60_000
    dead = dead_from(5, through_the_wire(headers | {"type": "t"}), b"1")
    assert (dead.reason, dead.attempts, dead.error, dead.version, dead.worker, dead.died_at) == (
        "max_attempts",
        5,
        error[:1000],
        "v1",
        "w",
        NOW,
    )


def test_a_dead_letter_that_somebody_else_wrote_is_listed_as_it_is() -> None:
    for said in ("", "[]", "{", '{"attempts": "x", "at": null}'):
        dead = dead_from(5, {"dead": said}, b"1")
        assert (dead.token, dead.job_id, dead.attempts, dead.died_at, dead.reason) == ("5", "5", 0, 0.0, "")
