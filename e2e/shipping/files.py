"""The files of examples/logs, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import yaml

from e2e.support.images import ROOT

FOLDER: Final = ROOT / "examples" / "logs"
SHIPPER: Final = "log-shipper"
LOKI: Final = "loki"
"""Names of namespaces and workloads."""
_FILES: Final = {SHIPPER: "shipper.yaml", LOKI: "loki.yaml"}


def documents(name: str) -> list[dict[str, Any]]:
    """Give the objects of one of the two files."""
    return list(yaml.safe_load_all((FOLDER / _FILES[name]).read_text()))


def settings(name: str, instead: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give what the program of a file is told, with other words in place of some."""
    (config,) = [one for one in documents(name) if one["kind"] == "ConfigMap"]
    (text,) = config["data"].values()
    for there, here in (instead or {}).items():
        text = text.replace(there, here)
    return dict(yaml.safe_load(text))
