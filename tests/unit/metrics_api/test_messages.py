"""What the operator tells arrives as it was meant, in lines of a bounded length."""

from pathlib import Path

from workerpool_operator.metrics_api.messages import LINE_BYTES, Role, Settings, Update
from workerpool_operator.metrics_api.mirror import Mirror
from workerpool_operator.serve.values import Value

WEB, API = ("media", "web"), ("media", "api")
ROLE = Role(leads_until=110.0, open=True, leader="10.0.0.1:6443")


def test_settings_arrive() -> None:
    settings = Settings(tls=Path("/tls"), host=None, port=6443, server_name="metrics.svc", log_level="info")
    assert Settings.of(settings.line()) == settings


def test_an_update_arrives_in_one_line() -> None:
    update = Update(there={WEB: Value(7, 99.5, 104.5), API: None}, gone=[("media", "old")], role=ROLE)
    [line] = update.lines()
    assert Update.of(line) == update
    assert line.count(b"\n") == 1


def test_a_replica_that_never_led_has_its_place_in_a_line() -> None:
    role = Role(leads_until=float("-inf"))
    [line] = Update(role=role).lines()
    assert Update.of(line).role == role


def test_many_pools_are_told_in_lines_that_can_be_read_and_the_role_comes_last() -> None:
    """Who knew only some of the pools, and that it leads, would say of the others that they do not exist."""
    names = [("n" * 63, f"{number:04d}" + "p" * 249) for number in range(2000)]
    lines = list(Update(there=dict.fromkeys(names, Value(7, 1234567.123456789, 1234567.123456789)), role=ROLE).lines())
    assert max(map(len, lines)) < LINE_BYTES
    updates = [Update.of(line) for line in lines]
    assert [pool for update in updates for pool in update.there] == names
    assert [update.role for update in updates] == [None, None, None, ROLE]


class TestMirror:
    def setup_method(self) -> None:
        self.now = 100.0
        self.mirror = Mirror(clock=lambda: self.now)

    def test_it_knows_nothing_at_first(self) -> None:
        assert (self.mirror.open, self.mirror.leads(), self.mirror.leader()) == (False, False, "")
        assert list(self.mirror.pools("media")) == []
        assert self.mirror.get(*WEB) is None

    def test_it_is_what_it_was_told(self) -> None:
        self.mirror.take(Update(there={WEB: Value(7, 99.0, 104.0), API: None}, role=ROLE))
        assert (self.mirror.open, self.mirror.leads(), self.mirror.leader()) == (True, True, "10.0.0.1:6443")
        assert sorted(self.mirror.pools("media")) == ["api", "web"]
        assert self.mirror.get(*WEB) == Value(7, 99.0, 104.0)
        assert self.mirror.get(*API) is None

    def test_a_value_lapses_by_itself(self) -> None:
        self.mirror.take(Update(there={WEB: Value(7, 99.0, 104.0)}, role=ROLE))
        self.now = 104.0
        assert self.mirror.get(*WEB) is not None
        self.now = 104.1
        assert self.mirror.get(*WEB) is None
        assert list(self.mirror.pools("media")) == ["web"]

    def test_the_lead_lapses_by_itself(self) -> None:
        self.mirror.take(Update(role=ROLE))
        self.now = 110.0
        assert not self.mirror.leads()

    def test_a_value_that_is_withdrawn_and_a_pool_that_is_gone(self) -> None:
        self.mirror.take(Update(there={WEB: Value(7, 99.0, 104.0), API: Value(1, 99.0, 104.0)}, role=ROLE))
        self.mirror.take(Update(there={WEB: None}, gone=[API, ("never", "heard-of")]))
        assert list(self.mirror.pools("media")) == ["web"]
        assert (self.mirror.get(*WEB), self.mirror.get(*API)) == (None, None)
        assert self.mirror.leads(), "nothing was said of that"
