"""How a broker is told who we are."""

from dataclasses import dataclass
from pathlib import Path

from workerpool.errors import CredentialsMissing


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files with credentials. They are read anew for each connection, so a rotated Secret is picked up."""

    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def username(self) -> str | None:
        """Content of the username file, None when none is named."""
        return _read(self.username_file)

    def password(self) -> str | None:
        """Content of the password file, None when none is named."""
        return _read(self.password_file)

    def require_tls_files(self) -> None:
        """Raise CredentialsMissing when a TLS file that is named is not there."""
        for path in (self.ca_file, self.cert_file, self.key_file):
            if path is not None and not path.is_file():
                raise CredentialsMissing(f"{path} is not there")


def _read(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CredentialsMissing(f"{path} cannot be read: {error.strerror}") from error
    if not text:
        raise CredentialsMissing(f"{path} is empty")
    return text
