"""What can be wrong with a kubeconfig of which its loader says nothing, or nothing that helps anybody.

A credential plugin (`exec`, as EKS, GKE and AKS write it) that is missing or fails is only logged by the loader, which
then asks without credentials; a file of another shape than it expects ends in Python's own words.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.kube_config import KubeConfigMerger
from kubernetes.aio.config.kube_config import logger as _loader_log

_LISTS: Final = {"clusters": "cluster", "users": "user", "contexts": "context"}
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Plugin:
    """The program that gives a user's credentials."""

    user: str
    command: str
    hint: str
    """Of the kubeconfig: how it is installed."""
    path: str | None
    """Where it is looked for, if not in our own PATH."""

    def missing(self) -> str:
        """What to say if there is no such program; empty where there is."""
        if shutil.which(self.command, path=self.path):
            return ""
        hint = f". It says: {' '.join(self.hint.split())[:_MOST]}" if self.hint else ""
        return (
            f"user {self.user} logs in by the program {self.command}, which is not installed here, or not on the "
            f"PATH{hint}. Install it, or choose a context of another user"
        )


def examine(paths: str | Path, *, context: str | None) -> Plugin | None:
    """The credential plugin of the context in force, if it has one.

    Raises:
        ConfigException: a file is of no shape that a kubeconfig has, or the context's user is not in it.
        OSError, yaml.YAMLError: it cannot be read.
    """
    for path in str(paths).split(os.pathsep):
        if path and Path(path).expanduser().exists():
            _examine_shape(path, yaml.safe_load(Path(path).expanduser().read_text("utf-8")))
    merged: Mapping[str, Any] = KubeConfigMerger(str(paths)).config.value
    entries = {kind: {one["name"]: one.get(key) for one in map(_plain, merged[kind])} for kind, key in _LISTS.items()}
    chosen = entries["contexts"].get(context or merged.get("current-context"))
    if chosen is None or not (user := chosen.get("user")):
        return None  # of which the loader knows the words
    if user not in entries["users"]:
        raise ConfigException(f"its context names user {user}, and there is none of this name among its users")
    told = (entries["users"][user] or {}).get("exec")
    if not isinstance(told, Mapping) or not told.get("command"):
        return None
    env = {one["name"]: one["value"] for one in told.get("env") or ()}
    return Plugin(user, str(told["command"]), str(told.get("installHint") or ""), env.get("PATH"))


def _plain(entry: Any) -> Mapping[str, Any]:
    """What the merger keeps wrapped, together with where it is from."""
    found: Mapping[str, Any] = getattr(entry, "value", entry)
    return found


def _examine_shape(path: str, content: Any) -> None:
    if content is None:
        raise ConfigException(f"{path} is empty: `kubectl config view` shows what kubectl would use")
    if not isinstance(content, Mapping):
        raise ConfigException(f"{path} holds no mapping with clusters, users and contexts")
    for kind, key in _LISTS.items():
        for entry in _listed(path, kind, content.get(kind)):
            if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
                raise ConfigException(f"an entry of {kind} in {path} has no name")
            if not isinstance(entry.get(key), Mapping) and (kind != "users" or entry.get(key) is not None):
                raise ConfigException(f"{entry['name']} of {kind} in {path} has no mapping {key}")


def _listed(path: str, kind: str, found: Any) -> list[Any]:
    if found is None:
        return []
    if not isinstance(found, list):
        raise ConfigException(f"{kind} in {path} is no list")
    return found


@contextlib.contextmanager
def plugin_answers(plugin: Plugin | None) -> Iterator[None]:
    """Fail where the loader would only log that the plugin gave no credentials.

    Raises:
        ConfigException: there is no such program, or it fails.
    """
    if plugin is None:
        yield
        return
    if missing := plugin.missing():
        raise ConfigException(missing)
    with _overheard() as said:
        yield
    if said:
        why = " ".join("; ".join(said).split())[:_MOST]
        raise ConfigException(
            f"the program {plugin.command}, by which user {plugin.user} logs in, gives no credentials: {why}. "
            "Run it by hand, or log in anew as your provider says"
        )


class _Overheard(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """What the loader logs meanwhile, which goes nowhere else."""
    handler, before = _Overheard(), _loader_log.propagate
    _loader_log.addHandler(handler)
    _loader_log.propagate = False
    try:
        yield handler.said
    finally:
        _loader_log.propagate = before
        _loader_log.removeHandler(handler)
