"""The collector's environment, which the operator sets."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SERVICE_ACCOUNT_DIRECTORY: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(ValueError):
    """The environment does not hold what the collector needs; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectorConfig:
    """The configuration of one collector process. Files are read again whenever they are needed."""

    namespace: str
    pod: str
    operator_host: str
    operator_port: int
    operator_ca: Path
    operator_token: Path
    api_server: str
    api_directory: Path
    """Holds token and ca.crt for the Kubernetes API."""
    credentials: Path
    log_level: str
    bind: str | None
    stream_port: int
    metrics_port: int
    health_port: int

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the configuration. Raises ConfigError naming the variable that is wrong."""
        host, _, port = _required(env, "OPERATOR_STREAM").rpartition(":")
        if not host or not port.isdecimal():
            raise ConfigError("OPERATOR_STREAM is not host:port")
        return cls(
            namespace=_required(env, "POD_NAMESPACE"),
            pod=_required(env, "POD_NAME"),
            operator_host=host,
            operator_port=int(port),
            operator_ca=Path(env.get("OPERATOR_CA", "/etc/workerpool-collector/ca.crt")),
            operator_token=Path(env.get("OPERATOR_TOKEN", "/var/run/secrets/workerpool.dev/token")),
            api_server=env.get("API_SERVER") or _in_cluster(env),
            api_directory=Path(env.get("API_DIRECTORY", SERVICE_ACCOUNT_DIRECTORY)),
            credentials=Path(env.get("CREDENTIALS", "/credentials")),
            log_level=env.get("LOG_LEVEL", "info"),
            bind=env.get("BIND_ADDRESS") or None,
            stream_port=int(env.get("STREAM_PORT", "8090")),
            metrics_port=int(env.get("METRICS_PORT", "8000")),
            health_port=int(env.get("HEALTH_PORT", "8080")),
        )


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigError(f"{name} is not set")
    return value


def _in_cluster(env: Mapping[str, str]) -> str:
    host, port = _required(env, "KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
