"""Certificates from a folder with `ca.crt`, `tls.crt` and `tls.key`, which may be replaced while they are in use.

A kubelet replaces the files of a mounted Secret a minute after the Secret has changed, each at its own moment: a pair
that does not fit is looked at again.
"""

import ssl
from pathlib import Path
from typing import Final

import structlog

CHECK_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class ServerCertificate:
    """What a TLS server shows. `context` stays the same object: new connections get a renewed pair, others stay."""

    def __init__(self, folder: Path) -> None:
        """Load the pair. Raises OSError or ssl.SSLError when there is none that can be used."""
        self._folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._loaded = _stamp(folder / "tls.crt", folder / "tls.key")
        self.context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    def accept_clients(self, authority_pem: str) -> None:
        """Ask clients for a certificate of this authority. One without stays welcome, one of another is refused.

        Raises ssl.SSLError when `authority_pem` holds no certificate.
        """
        self.context.load_verify_locations(cadata=authority_pem)
        self.context.verify_mode = ssl.CERT_OPTIONAL
        # The authority may be an intermediate one, as it may for the API server.
        self.context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def renew(self) -> None:
        """Load the pair again if it is another one by now: due each `CHECK_SECONDS`."""
        stamp = _stamp(self._folder / "tls.crt", self._folder / "tls.key")
        if stamp in (self._loaded, None):
            return
        try:
            self.context.load_cert_chain(self._folder / "tls.crt", self._folder / "tls.key")
        except (OSError, ssl.SSLError) as error:
            _log.warning("certificate_not_loaded", error=str(error))  # a half-written pair: look again
        else:
            self._loaded = stamp
            _log.info("certificate_renewed")


class TrustedAuthority:
    """What a TLS client of ours trusts: the authority in `ca.crt`, and no other."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ca.crt"
        self._context: ssl.SSLContext | None = None
        self._loaded: tuple[tuple[int, ...], ...] | None = None

    def context(self) -> ssl.SSLContext:
        """The context for the next connection. Raises OSError or ssl.SSLError while there is no authority."""
        stamp = _stamp(self._file)
        if self._context is None or stamp not in (self._loaded, None):
            self._context, self._loaded = ssl.create_default_context(cafile=str(self._file)), stamp
        return self._context


def _stamp(*files: Path) -> tuple[tuple[int, ...], ...] | None:
    try:
        found = [file.stat() for file in files]
    except OSError:
        return None
    # Not the time alone: one that was made with the other in one tick of the clock may take its place.
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
