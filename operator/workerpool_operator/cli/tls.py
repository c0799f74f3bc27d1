"""`wpool tls`: the certificate of the operator's two TLS ports, for those who install without Helm."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from workerpool_operator.cli import cluster

HELP: Final = """Write a Secret with a CA and a certificate for the operator, to install it without Helm.

The certificate is for the operator's Services in that namespace; the CA's own key is thrown away. What is written
holds a private key: pipe it to `kubectl apply -f -` and keep no copy. Written anew and applied, it takes the place of
the one before: the operator takes it up within two minutes, and gives collectors the new CA. Nothing is asked of any
cluster.

Exit codes: 0 written; 2 wrong usage.
"""
EPILOG: Final = """**Examples**

    wpool tls | kubectl apply --server-side -f -

    wpool tls --namespace queues --days 365 | kubectl apply --server-side -f -
"""
SECRET: Final = "workerpool-operator-tls"  # noqa: S105  the name of one
STREAM_SERVICE: Final = "workerpool-operator-stream"
METRICS_SERVICE: Final = "workerpool-operator-external-metrics"
_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of those who check may be behind."""


def tls(  # noqa: D103  typer: the help text is HELP
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", callback=cluster.named, help="Namespace of the operator.")
    ] = "workerpool-system",
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the certificate is good.")] = 3650,
) -> None:
    typer.echo(secret(namespace, now=datetime.now(UTC), days=days), nl=False)


def secret(namespace: str, *, now: datetime, days: int) -> str:
    """The Secret as YAML, with keys of its own at each call."""
    import yaml  # noqa: PLC0415  not needed by those who only ask for help

    stream = f"{STREAM_SERVICE}.{namespace}.svc"
    names = [stream, f"{stream}.cluster.local", f"{METRICS_SERVICE}.{namespace}.svc"]
    files = _made(names, since=now - _SKEW, until=now + timedelta(days=days))
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": SECRET,
            "namespace": namespace,
            "annotations": {"workerpool.dev/dns-names": ",".join(names)},
        },
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
    }
    return yaml.safe_dump(body, sort_keys=False)


def _made(names: list[str], *, since: datetime, until: datetime) -> dict[str, bytes]:
    """Files of the Secret: the CA's certificate, and a certificate for these names with its key."""
    from cryptography import x509  # noqa: PLC0415  a tenth of a second
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "workerpool-operator")])

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        usage = x509.KeyUsage(
            digital_signature=not ca,
            key_cert_sign=ca,
            crl_sign=ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        )

    ca = begun(issuer, authority.public_key(), ca=True).sign(authority, hashes.SHA256())
    leaf = (
        begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]), key.public_key(), ca=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return {
        "ca.crt": ca.public_bytes(serialization.Encoding.PEM),
        "tls.crt": leaf.public_bytes(serialization.Encoding.PEM),
        "tls.key": key.private_bytes(serialization.Encoding.PEM, *private),
    }
