"""A collector's board and the operator's state, and a slow way between them: who counts as heard was heard.

Two workers speak, or do not, in any order; what is due goes up now or with the next beat, and each message takes its
time. Whatever the operator believes at any moment has to be what the worker said, and what it said last up to then.
"""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from workerpool.protocol import Report
from workerpool_operator.collector.board import Board, PodInfo, WorkerState
from workerpool_operator.collector.holding import BEAT_SECONDS
from workerpool_operator.domain.scaling.workers import REPORT_FRESH_SECONDS
from workerpool_operator.protocol import Holds, PoolConfig, Unheld
from workerpool_operator.serve.state import Peer, StreamState

PEER = Peer(namespace="ns", pod="collector")
UIDS = ("a", "b")
AHEAD = 12_345.0
"""The operator's clock before the collector's."""
SLACK = 1e-6

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["says 0", "says 1"]), st.sampled_from(UIDS)),
        st.tuples(st.just("waits"), st.floats(0.1, 9.0)),
        st.tuples(st.sampled_from(["beats", "tells", "reconnects"]), st.none()),
    ),
    max_size=60,
)


class Link:
    def send(self, subject: str, message: BaseModel) -> None:
        """To nobody."""


@dataclass
class World:
    """Time is the collector's. `ways`: how long each message takes, one after the other and never out of order."""

    ways: deque[float]
    now: float = 100.0
    due: list[str] = field(default_factory=list)
    under_way: deque[tuple[float, BaseModel]] = field(default_factory=deque)
    words: dict[str, list[tuple[float, int]]] = field(default_factory=lambda: {uid: [] for uid in UIDS})
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self.board = Board(announce=self._announce, clock=lambda: self.now)
        self.board.configure((PoolConfig(name="web", uid="1", queues=()),))
        self.state = StreamState(on_change=lambda *_: None, clock=lambda: self.now + AHEAD)
        self.state.attach(PEER, Link())
        for uid in UIDS:
            self.board.pod_seen(
                PodInfo(
                    name=uid,
                    uid=uid,
                    pool="web",
                    version="v",
                    node="n",
                    ip="",
                    ready=True,
                    was_ready=True,
                    terminating=False,
                )
            )
            self.says(uid, 0)

    def _announce(self, what: str, pool: str, *, within: float = 0.0, news: bool = True) -> None:
        if news:
            self.due.append(pool)

    def says(self, uid: str, in_flight: int) -> None:
        self.words[uid].append((self.now, in_flight))
        report = Report(in_flight=in_flight, slots=4)
        self.board.heard(
            "web",
            WorkerState(
                pod=uid, uid=uid, version="v", source="stream", connected=True, heard_at=self.now, report=report
            ),
        )

    def tells(self) -> None:
        if self.due:
            self.due.clear()
            self._send(self.board.workers_message("web") or Unheld(pool="web"))

    def beats(self) -> None:
        age = self.board.hold()
        self.tells()
        self._send(Holds(clock=self.now, age_seconds=age))

    def reconnects(self) -> None:
        """What was under way is lost, and all is told anew."""
        self.under_way.clear()
        self.state.attach(PEER, Link())
        self.due.append("web")
        self.tells()

    def _send(self, message: BaseModel) -> None:
        way = self.ways[0]
        self.ways.rotate(-1)
        arrives = max([self.now + way, *(at for at, _ in self.under_way)])
        self.slowest = max(self.slowest, arrives - self.now)
        self.under_way.append((arrives, message))

    def waits(self, seconds: float) -> None:
        until = self.now + seconds
        while self.under_way and self.under_way[0][0] <= until:
            self.now, message = self.under_way.popleft()
            self.state.receive(PEER, message)  # type: ignore[arg-type]
        self.now = until

    def check(self) -> None:
        """What is believed of each worker is what it said then: it began before, and was heard to say so after."""
        for report in self.state.view("ns", "web").workers:
            latest = self.now - report.age_seconds + SLACK
            earliest = latest - self.slowest - 2 * SLACK
            spells = [one for one in self._spells(report.uid) if one[0] == report.in_flight]
            assert any(begun <= latest and heard >= earliest for _, begun, heard in spells)

    def _spells(self, uid: str) -> list[tuple[int, float, float]]:
        """What a worker said in a row: the number, when for the first and when for the last time."""
        spells: list[tuple[int, float, float]] = []
        for at, in_flight in self.words[uid]:
            if spells and spells[-1][0] == in_flight:
                spells[-1] = (in_flight, spells[-1][1], at)
            else:
                spells.append((in_flight, at, at))
        return spells


@settings(max_examples=300)
@given(actions=ACTIONS, ways=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=7))
def test_nobody_is_believed_to_have_been_heard_who_was_not(
    actions: list[tuple[str, object]], ways: list[float]
) -> None:
    """Nor to say what it does not say any more."""
    world = World(deque(ways))
    world.tells()
    for action, what in actions:
        match action, what:
            case ("says 0" | "says 1") as words, str(uid):
                world.says(uid, int(words[-1]))
            case "waits", float(seconds):
                world.waits(seconds)
            case "beats", _:
                world.beats()
            case "tells", _:
                world.tells()
            case _:
                world.reconnects()
        world.check()


@given(silent_after=st.integers(0, 30), rhythm=st.floats(0.5, 10.0), way=st.floats(0.0, 0.5))
def test_a_worker_that_speaks_in_time_is_always_known_and_one_that_falls_silent_soon_is_not(
    silent_after: int, rhythm: float, way: float
) -> None:
    """The first stays fresh whatever the other one does; the other one is not after as long as ever."""
    world = World(deque([way]))
    world.tells()
    next_word, last_word, start = world.now + rhythm, world.now, world.now
    while world.now < start + 60.0:
        world.waits(min(BEAT_SECONDS, max(0.01, next_word - world.now)))
        if world.now >= next_word:
            world.says("a", 0)
            if world.now < start + silent_after:
                world.says("b", 0)
                last_word = world.now
            next_word += rhythm
        world.beats()
        if world.now > start + 1.0:
            ages = {one.uid: one.age_seconds for one in world.state.view("ns", "web").workers}
            assert ages["a"] <= REPORT_FRESH_SECONDS
            if world.now > last_word + REPORT_FRESH_SECONDS + way + SLACK:
                assert ages["b"] > REPORT_FRESH_SECONDS - SLACK
