"""Certificate and issuers of the chart against cert-manager's own definitions, on a real API server.

cert-manager itself does not run here: that a CA issuer fills `ca.crt`, `tls.crt` and `tls.key` is what it documents.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from e2e.cluster import crds
from tests.component.chart.conftest import CHART, wait_served

pytestmark = [pytest.mark.component, pytest.mark.apiserver]

NAME = "workerpool-operator"
USERS = {"issuerRef": {"name": "corp", "kind": "ClusterIssuer"}, "duration": "24h", "renewBefore": "8h"}


@pytest.fixture(scope="module")
def known(kubectl: Callable[..., str]) -> Iterator[None]:
    """A cluster that knows cert-manager's kinds."""
    paths = crds.cert_manager()
    files = [word for path in paths for word in ("-f", str(path))]
    kubectl("apply", "--server-side", *files)
    wait_served(kubectl, *paths)
    yield
    kubectl("delete", *files)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("settings", [{}, USERS], ids=["CA of its own", "issuer of the user's"])
def test_they_are_taken_in_with_every_field(
    helm: Callable[..., str], kubectl: Callable[..., str], settings: dict[str, Any]
) -> None:
    flag = json.dumps({"certManager": {"enabled": True} | settings})
    only = ("--show-only", "templates/certificate.yaml")
    text = helm("template", NAME, str(CHART), "--namespace", "default", *only, "--set-json", f"tls={flag}")
    made = [one for one in yaml.safe_load_all(text) if one]
    assert [one["kind"] for one in made].count("Certificate") == (1 if settings else 2)

    said = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert len(said.splitlines()) == len(made)
