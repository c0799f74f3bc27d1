"""The operator's environment: what is read from it, and what is refused by name."""

import pytest

from workerpool_operator.controller.config import ConfigError, OperatorConfig
from workerpool_operator.domain.desired.prometheus_rule import RUNBOOKS

NEEDED = {"POD_NAMESPACE": "workerpool-system", "COLLECTOR_IMAGE": "workerpool:1"}


def config(**more: str) -> OperatorConfig:
    return OperatorConfig.from_environment(NEEDED | more)


def test_without_a_word_rules_have_no_labels_and_link_to_the_projects_runbooks() -> None:
    assert config().rules.labels == {}
    assert config().rules.runbooks == RUNBOOKS


def test_labels_of_rules_are_read_as_pairs() -> None:
    pairs = config(PROMETHEUS_RULE_LABELS="release=kps,example.com/team=,a=b").rules.labels
    assert pairs == {"release": "kps", "example.com/team": "", "a": "b"}


@pytest.mark.parametrize("text", ["release", "=kps", "a=b,c"])
def test_labels_that_are_no_pairs_are_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="PROMETHEUS_RULE_LABELS has"):
        config(PROMETHEUS_RULE_LABELS=text)


def test_runbooks_of_the_installation_are_linked_without_a_double_slash() -> None:
    assert config(RUNBOOKS_URL="https://wiki.example/alerts/").rules.runbooks == "https://wiki.example/alerts"


def test_the_external_metrics_api_is_off_until_it_has_a_port() -> None:
    assert config().external_metrics_port == 0
    assert config().external_metrics_address == ""


@pytest.mark.parametrize(("ip", "address"), [("10.1.2.3", "10.1.2.3:6443"), ("fd00::1", "[fd00::1]:6443")])
def test_other_replicas_reach_the_external_metrics_api_by_the_pods_address(ip: str, address: str) -> None:
    made = config(EXTERNAL_METRICS_PORT="6443", POD_IP=ip)
    assert made.external_metrics_address == address
    assert made.external_metrics_host == "workerpool-operator-external-metrics.workerpool-system.svc"


def test_the_external_metrics_api_needs_the_pods_address() -> None:
    with pytest.raises(ConfigError, match="POD_IP"):
        config(EXTERNAL_METRICS_PORT="6443")


def test_prices_are_read_by_pool() -> None:
    prices = config(
        WORKER_HOUR_PRICE="0.04", WORKER_HOUR_PRICES="media/gpu=2.5,media/free=0", COST_CURRENCY="EUR"
    ).prices
    assert (prices.of("media", "thumbs"), prices.of("media", "gpu"), prices.of("media", "free")) == (0.04, 2.5, None)
    assert prices.currency == "EUR"
    assert config().prices.of("media", "thumbs") is None


@pytest.mark.parametrize("text", ["cheap", "-1", "nan", "inf"])
def test_a_price_that_is_no_amount_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match="WORKER_HOUR_PRICE has"):
        config(WORKER_HOUR_PRICE=text)
    with pytest.raises(ConfigError, match="WORKER_HOUR_PRICES has"):
        config(WORKER_HOUR_PRICES=f"media/gpu={text}")


def test_it_looks_after_all_namespaces_unless_some_are_named() -> None:
    assert config().watch_namespaces == ()
    assert config(WATCH_NAMESPACES="media, mail,media").watch_namespaces == ("media", "mail")


def test_collectors_pull_with_the_secrets_that_are_named() -> None:
    """Each once, though a list may name one twice."""
    assert config().collector_pull_secrets == ()
    assert config(COLLECTOR_IMAGE_PULL_SECRETS="registry, mirror.example,registry").collector_pull_secrets == (
        "registry",
        "mirror.example",
    )


@pytest.mark.parametrize("text", ["Registry", "a/b", "registry,-"])
def test_names_that_no_secret_has_are_refused_by_name(text: str) -> None:
    """They would keep the collector of every namespace from being made."""
    with pytest.raises(ConfigError, match="COLLECTOR_IMAGE_PULL_SECRETS has"):
        config(COLLECTOR_IMAGE_PULL_SECRETS=text)


@pytest.mark.parametrize("text", [",", " ", "Media", "a/b", "media,*"])
def test_names_that_are_none_are_refused_and_not_taken_for_all(text: str) -> None:
    with pytest.raises(ConfigError, match="WATCH_NAMESPACES is"):
        config(WATCH_NAMESPACES=text)
