"""How the installation configures the operator: environment variables, which the chart sets."""

import math
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

from workerpool_operator.domain.desired import RuleSettings
from workerpool_operator.domain.watched import VARIABLE, watched
from workerpool_operator.metrics import Prices

STREAM_SERVICE: Final = "workerpool-operator-stream"
EXTERNAL_METRICS_SERVICE: Final = "workerpool-operator-external-metrics"
LEASE_NAME: Final = "workerpool-operator"
_SECRET: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

HELP: Final = """Environment:
  POD_NAMESPACE                namespace of the operator and its Lease (required)
  COLLECTOR_IMAGE              image of the collectors (required)
  WATCH_NAMESPACES             the namespaces to look after, as name,name; default: all
  POD_NAME                     name of this replica (default: the host's name)
  COLLECTOR_IMAGE_PULL_POLICY  default IfNotPresent
  COLLECTOR_IMAGE_PULL_SECRETS Secrets of each namespace with pools, as name,name; default none
  COLLECTOR_REPLICAS           collectors a namespace, default 1
  LOG_LEVEL                    debug, info, warning or error; default info
  TLS_DIR                      folder with ca.crt, tls.crt and tls.key; default /etc/workerpool/tls
  BIND_ADDRESS                 address to serve on; default: all
  HTTP_PORT                    health and metrics, default 8080
  STREAM_PORT                  collectors' streams (TLS), default 8443
  EXTERNAL_METRICS_PORT        external metrics API (TLS); default 0: not served
  POD_IP                       where the other replicas reach this one (required where that API is served)
  RESYNC_SECONDS               period of the full comparison, default 300
  PROMETHEUS_RULE_LABELS       labels of the pools' PrometheusRules, as name=value,name=value; default none
  RUNBOOKS_URL                 folder with the alerts' runbooks; default: those of the project
  WORKER_HOUR_PRICE            what an hour of one worker costs; default 0: not known
  WORKER_HOUR_PRICES           the same of single pools, as namespace/pool=price,namespace/pool=price
  COST_CURRENCY                in which, such as EUR
  KUBECONFIG                   outside a cluster: how to reach one
"""


class ConfigError(ValueError):
    """The environment does not hold what the operator needs; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """The configuration of one operator process."""

    namespace: str
    pod: str
    watch_namespaces: tuple[str, ...]
    """Empty: all."""
    collector_image: str
    collector_pull_policy: str
    collector_pull_secrets: tuple[str, ...]
    collector_replicas: int
    log_level: str
    tls: Path
    bind: str | None
    http_port: int
    stream_port: int
    external_metrics_port: int
    """0: not served."""
    pod_ip: str
    resync_seconds: float
    rules: RuleSettings
    prices: Prices

    @property
    def stream_address(self) -> str:
        """host:port that collectors dial."""
        return f"{STREAM_SERVICE}.{self.namespace}.svc:{self.stream_port}"

    @property
    def external_metrics_host(self) -> str:
        """The name that the API server, and a standby, expect in the certificate of the external metrics API."""
        return f"{EXTERNAL_METRICS_SERVICE}.{self.namespace}.svc"

    @property
    def external_metrics_address(self) -> str:
        """host:port of this replica's external metrics API, for the others; empty where it is not served."""
        if not self.external_metrics_port:
            return ""
        host = f"[{self.pod_ip}]" if ":" in self.pod_ip else self.pod_ip
        return f"{host}:{self.external_metrics_port}"

    @property
    def identity(self) -> str:
        """Who holds the Lease: unique to this process, not only to the pod."""
        return f"{self.pod}_{uuid.uuid4().hex[:8]}"

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the configuration. Raises ConfigError naming the variable that is wrong."""
        external_metrics_port = _number(env, "EXTERNAL_METRICS_PORT", default=0)
        return cls(
            namespace=_required(env, "POD_NAMESPACE"),
            pod=env.get("POD_NAME") or os.uname().nodename,
            watch_namespaces=_watched(env),
            collector_image=_required(env, "COLLECTOR_IMAGE"),
            collector_pull_policy=env.get("COLLECTOR_IMAGE_PULL_POLICY", "IfNotPresent"),
            collector_pull_secrets=_secrets(env, "COLLECTOR_IMAGE_PULL_SECRETS"),
            collector_replicas=_number(env, "COLLECTOR_REPLICAS", default=1),
            log_level=env.get("LOG_LEVEL", "info"),
            tls=Path(env.get("TLS_DIR", "/etc/workerpool/tls")),
            bind=env.get("BIND_ADDRESS") or None,
            http_port=_number(env, "HTTP_PORT", default=8080),
            stream_port=_number(env, "STREAM_PORT", default=8443),
            external_metrics_port=external_metrics_port,
            pod_ip=_required(env, "POD_IP") if external_metrics_port else "",
            resync_seconds=_number(env, "RESYNC_SECONDS", default=300),
            rules=_rule_settings(env),
            prices=_prices(env),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigError(f"{name} is not set; see --help")
    return value


def _watched(env: Mapping[str, str]) -> tuple[str, ...]:
    try:
        return watched(env.get(VARIABLE, ""))
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _secrets(env: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Each once: the API server takes no name twice."""
    found = tuple(dict.fromkeys(part.strip() for part in env.get(name, "").split(",") if part.strip()))
    if wrong := [one for one in found if not _SECRET.fullmatch(one)]:
        raise ConfigError(f"{name} has {wrong[0]!r}: write the names of Secrets, as name,name")
    return found


def _number(env: Mapping[str, str], name: str, *, default: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise ConfigError(f"{name} is {text!r}: write a whole number from 0")
    return number


def _rule_settings(env: Mapping[str, str]) -> RuleSettings:
    settings = RuleSettings(labels=_pairs(env, "PROMETHEUS_RULE_LABELS"))
    runbooks = env.get("RUNBOOKS_URL", "").rstrip("/")
    return replace(settings, runbooks=runbooks) if runbooks else settings


def _prices(env: Mapping[str, str]) -> Prices:
    return Prices(
        currency=env.get("COST_CURRENCY", ""),
        worker_hour=_price("WORKER_HOUR_PRICE", env.get("WORKER_HOUR_PRICE") or "0"),
        pools={pool: _price("WORKER_HOUR_PRICES", text) for pool, text in _pairs(env, "WORKER_HOUR_PRICES").items()},
    )


def _price(name: str, text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise ConfigError(f"{name} has {text!r}: write an amount from 0, such as 0.04")
    return price


def _pairs(env: Mapping[str, str], name: str) -> dict[str, str]:
    """What stands as `name=value,name=value`; names, labels and amounts hold neither of the two signs."""
    found: dict[str, str] = {}
    for pair in filter(None, env.get(name, "").split(",")):
        key, sign, value = pair.partition("=")
        if not key.strip() or not sign:
            raise ConfigError(f"{name} has {pair!r}: write name=value,name=value")
        found[key.strip()] = value.strip()
    return found
