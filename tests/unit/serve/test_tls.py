"""Certificates that are replaced while they are in use."""

import base64
import os
import ssl
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from workerpool_operator.cli.main import app
from workerpool_operator.serve.tls import ServerCertificate, TrustedAuthority

MADE_AT = (1_800_000_000, 1_800_000_000)


def put_in_place(folder: Path) -> None:
    """A new pair, as old as any other: made in the same tick of the clock, or copied with its time."""
    secret = yaml.safe_load(CliRunner().invoke(app, ["tls"]).stdout)
    for name, text in secret["data"].items():
        new = folder / f"{name}.new"
        new.write_bytes(base64.b64decode(text))
        os.utime(new, MADE_AT)
        new.replace(folder / name)


def test_another_authority_is_trusted_as_soon_as_it_is_there(tmp_path: Path) -> None:
    put_in_place(tmp_path)
    trusted = TrustedAuthority(tmp_path)
    before = trusted.context()
    assert trusted.context() is before
    put_in_place(tmp_path)
    after = trusted.context()
    assert after.get_ca_certs(binary_form=True) != before.get_ca_certs(binary_form=True)
    assert trusted.context() is after


def test_another_pair_is_shown_when_it_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(tmp_path)
    shown = ServerCertificate(tmp_path)
    loads: list[Path] = []
    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", lambda _self, file, _key: loads.append(file))
    shown.renew()
    assert loads == []
    put_in_place(tmp_path)
    shown.renew()
    shown.renew()
    assert loads == [tmp_path / "tls.crt"]
