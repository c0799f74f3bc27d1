"""`wpool tls`: a Secret that the operator can be installed with."""

import base64
import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from typer.testing import CliRunner

from workerpool_operator.cli import tls
from workerpool_operator.cli.main import app
from workerpool_operator.controller.config import EXTERNAL_METRICS_SERVICE, STREAM_SERVICE
from workerpool_operator.serve.tls import ServerCertificate

HELPERS = Path(__file__).parents[3] / "charts" / "workerpool-operator" / "templates" / "_helpers.tpl"


def written(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["tls", *words])
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def certificate(secret: dict[str, Any], key: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(secret["data"][key]))


def test_the_services_are_the_operators() -> None:
    """As it calls them itself, and as the chart makes them."""
    assert (tls.STREAM_SERVICE, tls.METRICS_SERVICE) == (STREAM_SERVICE, EXTERNAL_METRICS_SERVICE)
    text = HELPERS.read_text("utf-8")
    made = dict(re.findall(r'define "workerpool\.(streamService|metricsService)" -}}([a-z-]+){{-', text))
    assert made == {"streamService": tls.STREAM_SERVICE, "metricsService": tls.METRICS_SERVICE}


def test_it_is_for_the_services_of_that_namespace() -> None:
    secret = written("--namespace", "queues")
    assert (secret["metadata"]["namespace"], secret["type"]) == ("queues", "kubernetes.io/tls")
    leaf, ca = certificate(secret, "tls.crt"), certificate(secret, "ca.crt")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "workerpool-operator-stream.queues.svc",
        "workerpool-operator-stream.queues.svc.cluster.local",
        "workerpool-operator-external-metrics.queues.svc",
    ]
    leaf.verify_directly_issued_by(ca)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_it_is_good_for_so_many_days_and_from_a_little_before_now() -> None:
    leaf = certificate(written("--days", "30"), "tls.crt")
    now = datetime.now(UTC)
    assert leaf.not_valid_before_utc < now - timedelta(minutes=4)
    assert timedelta(days=29) < leaf.not_valid_after_utc - now <= timedelta(days=30)


def test_the_operator_can_serve_with_it_and_a_client_trusts_it(tmp_path: Path) -> None:
    """By the strict rules that Python has from 3.13 on, too."""
    for name, content in written()["data"].items():
        (tmp_path / name).write_bytes(base64.b64decode(content))
    server = ServerCertificate(tmp_path).context
    client = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = client.wrap_bio(to_client, to_server, server_hostname="workerpool-operator-stream.workerpool-system.svc")
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ours.version() == "TLSv1.3"


def test_it_is_another_one_each_time() -> None:
    assert written()["data"]["tls.key"] != written()["data"]["tls.key"]


def test_a_namespace_that_is_none_is_refused() -> None:
    assert CliRunner().invoke(app, ["tls", "--namespace", "a/b"]).exit_code == 2
