"""The cluster's certificates: one authority for the cluster, one for the front proxy, and what they sign.

Elliptic keys, because some fifteen are made at each fresh start; only the service-account key is RSA, since
the tokens of real clusters are RS256 and those who check tokens are tested against these. Key identifiers and
usages are set throughout: Python 3.13 and later refuse a chain without them.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=365)
_SKEW = dt.timedelta(minutes=5)
_LEAF_USAGE = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
_AUTHORITY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The files of a certificate and its key."""

    cert: Path
    key: Path


@dataclass(frozen=True, kw_only=True)
class Authority:
    """A certificate authority in a folder; what exists there already is kept."""

    home: Path
    name: str

    @property
    def pair(self) -> Pair:
        """Give the authority's own certificate and key, made on first use."""
        pair = _pair(self.home, self.name)
        if not pair.cert.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            name = _subject(self.name, ())
            builder = (
                _builder(subject=name, issuer=name, key=key.public_key())
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .add_extension(_AUTHORITY_USAGE, critical=True)
            )
            _store(pair, key, builder.sign(key, hashes.SHA256()))
        return pair

    def issue(
        self,
        name: str,
        *,
        common_name: str,
        organizations: Iterable[str] = (),
        hosts: Iterable[str] = (),
        usages: Iterable[x509.ObjectIdentifier] = _LEAF_USAGE,
        life: dt.timedelta = _LIFE,
    ) -> Pair:
        """Give a certificate, made on first use; good for both ends of TLS unless `usages` says otherwise.

        Args:
            name: the files' stem.
            common_name: the user name that Kubernetes sees.
            organizations: the groups that Kubernetes sees.
            hosts: DNS names and IP addresses that it may serve under.
            usages: what it may be shown for.
            life: how long from now it is good; negative for one that is over, by less than five minutes.
        """
        pair = _pair(self.home, name)
        if pair.cert.exists():
            return pair
        authority = x509.load_pem_x509_certificate(self.pair.cert.read_bytes())
        signer = serialization.load_pem_private_key(self.pair.key.read_bytes(), password=None)
        if not isinstance(signer, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.pair.key} holds no elliptic key")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(common_name, organizations)
        builder = (
            _builder(subject=subject, issuer=authority.subject, key=key.public_key(), life=life)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        )
        if names := [_general_name(host) for host in hosts]:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        _store(pair, key, builder.sign(signer, hashes.SHA256()))
        return pair


def signing_key(home: Path, name: str) -> Pair:
    """Give the RSA pair that signs service-account tokens; ``cert`` is its public key."""
    pair = Pair(cert=home / f"{name}.pub", key=home / f"{name}.key")
    if not pair.cert.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write_key(pair.key, key)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pair.cert.write_bytes(public)
    return pair


def _pair(home: Path, name: str) -> Pair:
    return Pair(cert=home / f"{name}.crt", key=home / f"{name}.key")


def _subject(common_name: str, organizations: Iterable[str]) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    *, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: dt.timedelta = _LIFE
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _store(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    """Write the key first: a certificate on disk then means that the pair is whole."""
    _write_key(pair.key, key)
    pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
