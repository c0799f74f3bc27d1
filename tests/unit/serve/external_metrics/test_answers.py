"""Which values a question gets."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from workerpool_operator.domain.metric import METRIC
from workerpool_operator.serve.external_metrics.documents import ApiError
from workerpool_operator.serve.external_metrics.values import Question, Values
from workerpool_operator.serve.values import ValueBoard

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Scene:
    """Pools of namespace `media`: `web` wants 7, `api` wants 0, `stale` nothing fresh; `lone` has one such pool."""

    def __init__(self) -> None:
        self.now = 100.0
        self.board = ValueBoard(clock=lambda: self.now)
        self.board.begin()
        self.pools = {"media": {"web", "api", "stale"}, "lone": {"stale"}}
        for name, value in (("web", 7), ("api", 0)):
            self.board.read("media", name, "main", age=2.0, stale_after=5.0)
            self.board.publish("media", name, value, queues=("main",))
        self._values = Values(
            self.board, lambda namespace: self.pools.get(namespace, ()), clock=lambda: self.now, wall_clock=lambda: NOW
        )

    def ask(self, selector: str = "", *, namespace: str = "media", metric: str = METRIC) -> dict[str, str]:
        """Value by pool."""
        items = self._values.answer(Question(namespace, metric, selector))["items"]
        return {item["metricLabels"]["pool"]: item["value"] for item in items}

    def document(self, selector: str) -> object:
        return self._values.answer(Question("media", METRIC, selector))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def refused(ask: Callable[[], object]) -> int:
    with pytest.raises(ApiError) as error:
        ask()
    return error.value.code


def test_the_document_is_that_of_the_api(scene: Scene) -> None:
    assert scene.document("pool=web") == {
        "kind": "ExternalMetricValueList",
        "apiVersion": "external.metrics.k8s.io/v1beta1",
        "metadata": {},
        "items": [
            {
                "metricName": "workerpool_desired_replicas",
                "metricLabels": {"pool": "web"},
                "timestamp": "2026-01-02T03:04:03Z",
                "value": "7",
            }
        ],
    }


def test_zero_is_a_value(scene: Scene) -> None:
    assert scene.ask("pool=api") == {"api": "0"}


def test_several_pools(scene: Scene) -> None:
    assert scene.ask("pool in (web,api,gone)") == {"api": "0", "web": "7"}
    assert scene.ask("pool!=stale") == {"api": "0", "web": "7"}


def test_without_a_selector_what_is_fresh(scene: Scene) -> None:
    assert scene.ask() == {"api": "0", "web": "7"}
    assert scene.ask(namespace="empty") == {}


def test_a_stale_pool_has_no_value_and_is_not_left_out_of_a_sum(scene: Scene) -> None:
    assert refused(lambda: scene.ask("pool=stale")) == 503
    assert refused(lambda: scene.ask("pool in (web,stale)")) == 503
    assert refused(lambda: scene.ask(namespace="lone")) == 503


def test_a_value_that_has_become_stale_is_given_no_more(scene: Scene) -> None:
    scene.now += 3.1
    assert refused(lambda: scene.ask("pool=web")) == 503


@pytest.mark.parametrize("selector", ["pool=gone", "pool=web,team=a", "!pool"])
def test_a_pool_that_is_not_there_is_not_found(scene: Scene, selector: str) -> None:
    assert refused(lambda: scene.ask(selector)) == 404


def test_another_namespace_has_other_pools(scene: Scene) -> None:
    assert refused(lambda: scene.ask("pool=web", namespace="lone")) == 404


def test_another_metric_is_not_found(scene: Scene) -> None:
    assert refused(lambda: scene.ask("pool=web", metric="other")) == 404


def test_a_selector_that_cannot_be_read_is_a_bad_request(scene: Scene) -> None:
    assert refused(lambda: scene.ask("pool=")) == 404
    assert refused(lambda: scene.ask("pool in web")) == 400


def test_before_the_term_has_begun_nobody_is_told_that_a_pool_is_not_there(scene: Scene) -> None:
    scene.board.end()
    assert refused(lambda: scene.ask("pool=web")) == 503
    assert refused(lambda: scene.ask("pool=gone")) == 503
