"""What collectors told of how jobs came is kept for those that begin anew."""

from tests.unit.forecast.courses import DAY, MONDAY, WIDTH, days
from tests.unit.serve.test_state import A, B, Link, samples, state
from workerpool_operator.domain.scaling import Forecast
from workerpool_operator.forecast import Course
from workerpool_operator.protocol import (
    Arrivals,
    Config,
    CourseReport,
    PastArrivals,
    PoolConfig,
    Predictive,
    decode_down,
    decode_up,
)
from workerpool_operator.serve.courses import KEPT_SECONDS

WEB = PoolConfig(name="web", uid="1", queues=(), predictive=Predictive(season_seconds=86_400, horizon_seconds=600))


def told(course: Course, *, rate: float | None = None, why: str = "") -> Arrivals:
    report = CourseReport(width_seconds=course.width, first=course.first, rates=course.rates)
    return Arrivals(pool="web", course=report, rate=rate, error=0.1, why=why)


def test_a_collector_that_connects_is_told_how_jobs_came_before() -> None:
    """After it knows its pools, and by the leader only."""
    streams, _, _ = state()
    streams.receive(A, told(days(2)))
    streams.set_role(leader=True, epoch=3)
    streams.send_config("ns", (WEB,))
    link = Link()
    streams.attach(B, link)
    kinds = [type(message) for message in link.sent]
    assert kinds.index(Config) < kinds.index(PastArrivals)
    [past] = link.of(PastArrivals)
    assert (past.epoch, past.pool, past.course.first, len(past.course.rates)) == (3, "web", MONDAY, 2 * DAY)
    assert past.course.rates[10] is not None
    assert abs(past.course.rates[10] - (days(2).rates[10] or 0)) < 1e-5
    standby, _, _ = state()
    standby.receive(A, told(days(2)))
    link = Link()
    standby.attach(B, link)
    assert link.of(PastArrivals) == []


def test_a_new_leader_tells_what_it_heard_while_it_did_not_lead() -> None:
    """The collector began anew while nobody led; each pool is told once, and again only where it is new."""
    streams, _, _ = state()
    streams.receive(A, told(days(2)))
    link = Link()
    streams.attach(A, link)
    streams.set_role(leader=True, epoch=1)
    streams.send_config("ns", (WEB,))
    assert len(link.of(PastArrivals)) == 1
    streams.send_config("ns", (WEB, PoolConfig(name="other", uid="2", queues=())))
    assert len(link.of(PastArrivals)) == 1


def test_two_collectors_courses_are_put_together() -> None:
    """Each has holes where it was not there."""
    streams, _, _ = state()
    streams.receive(A, told(days(1)))
    streams.receive(B, told(days(1, first=MONDAY + DAY)))
    streams.set_role(leader=True, epoch=1)
    streams.send_config("ns", (WEB,))
    link = Link()
    streams.attach(A, link)
    [past] = link.of(PastArrivals)
    assert len(past.course.rates) == 2 * DAY
    assert None not in past.course.rates


def test_what_is_of_another_season_or_pool_is_not_told() -> None:
    """A pool whose season has changed, that wants no forecasts any more, or that is gone."""
    streams, _, _ = state()
    streams.receive(A, told(days(1)))
    streams.set_role(leader=True, epoch=1)
    weekly = WEB.model_copy(update={"predictive": Predictive(season_seconds=604_800, horizon_seconds=600)})
    for pool in (weekly, WEB.model_copy(update={"predictive": None})):
        streams.send_config("ns", (pool,))
        link = Link()
        streams.attach(A, link)
        assert link.of(PastArrivals) == []
    streams.send_config("ns", (WEB,))
    streams.forget("ns", "web")
    link = Link()
    streams.attach(A, link)
    assert link.of(PastArrivals) == []


def test_a_collector_that_says_something_beats_one_that_cannot() -> None:
    """And of two that say something the later word counts; a new word makes the pool be looked at."""
    streams, clock, changes = state()
    assert streams.view("ns", "web").forecast is None
    streams.receive(A, told(days(1), rate=5.0))
    clock.now += 1
    streams.receive(B, told(days(1), why="jobs are counted for 2 h"))
    assert streams.view("ns", "web").forecast == Forecast(rate=5.0, error=0.1)
    clock.now += 1
    streams.receive(B, told(days(1), rate=6.0))
    assert streams.view("ns", "web").forecast == Forecast(rate=6.0, error=0.1)
    changes.clear()
    streams.receive(B, told(days(1), rate=6.0))
    assert changes == []
    streams.receive(B, told(days(1), rate=7.0))
    assert changes == [("ns", "web")]


def test_courses_outlive_their_collectors_for_a_day() -> None:
    """On a standby as well, which holds no orders; then the pool is taken for gone."""
    streams, clock, _ = state()
    streams.attach(A, link := Link())
    streams.receive(A, samples(1))
    streams.receive(A, told(days(1)))
    streams.detach(A, link)
    clock.now += KEPT_SECONDS
    streams.tidy()
    streams.set_role(leader=True, epoch=1)
    streams.send_config("ns", (WEB,))
    streams.attach(B, link := Link())
    assert len(link.of(PastArrivals)) == 1
    clock.now += 1
    streams.tidy()
    streams.attach(B, link := Link())
    assert link.of(PastArrivals) == []


def test_nonsense_on_the_stream_is_no_message() -> None:
    """Not a number, and infinite: JSON of other makers has words for them."""
    good = told(Course(width=WIDTH, first=1, rates=(1.0, None))).model_dump_json()
    assert decode_up(good) is not None
    for bad in ("NaN", "Infinity", '"many"'):
        assert decode_up(good.replace("1.0,", f"{bad},")) is None
    assert decode_down('{"type": "past_arrivals", "epoch": 1, "pool": "web", "course": {"width_seconds": 0}}') is None
