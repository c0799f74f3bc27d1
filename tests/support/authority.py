"""Certificates for tests of TLS."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A certificate authority and a certificate of 127.0.0.1, for a server or a client, that it has signed."""

    def __init__(self, folder: Path, *, expired: bool = False) -> None:
        folder.mkdir()
        self._folder = folder
        self.ca = folder / "ca.crt"
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = _named(f"authority {folder.name}")
        ca = _certificate(self._ca_name, self._ca_name, self._ca_key, self._ca_key, ca=True)
        self.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self.cert, self.key = self.certify("broker", file="tls", expired=expired)

    def certify(self, name: str, *, file: str = "", expired: bool = False) -> tuple[Path, Path]:
        """Files of a certificate, with this common name, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(_named(name), self._ca_name, key, self._ca_key, ca=False, expired=expired)
        files = self._folder / f"{file or name}.crt", self._folder / f"{file or name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    expired: bool = False,
) -> x509.Certificate:
    now = datetime.now(UTC)
    end = now - timedelta(minutes=1) if expired else now + timedelta(hours=1)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
