"""Who may use the page: only the browser that was given the link, and only by the page's own doing.

The server listens on 127.0.0.1, where every user of the machine and every web page that the browser shows can knock.
Against them stand, each enough for one attack, and none for all:

- another user of the machine: knows neither the one-time token of the link nor the session's cookie. The link goes to
  the user's terminal, and to the browser in a file of theirs (`browse`), since programs' arguments are for all to see.
  The cookie lies below a random path, since browsers send cookies of 127.0.0.1 to **every** port of it, also to another
  user's server;
- DNS rebinding: the `Host` is not ours then;
- a page elsewhere (cross-site request forgery, frames, scripts): the cookie is SameSite=Strict, a write needs our
  `Origin` (which has the port in it; SameSite has not), and no other page may frame or read ours.

Pure but for the random secrets.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

COOKIE: Final = "wpool"
SAFE: Final = frozenset({"GET", "HEAD"})
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types wpool",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: with that, browsers send `Origin: null` with the page's own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Server": "wpool",
}
_ONLY_LINK: Final = "Open the link that wpool ui printed."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a request tells who sent it."""

    method: str
    path: str
    hosts: Sequence[str]
    origins: Sequence[str] = ()
    fetch_site: str = ""
    """`Sec-Fetch-Site`, where the browser says it."""
    cookie: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not."""

    status: int
    message: str


@dataclass(slots=True, kw_only=True)
class Guard:
    """Of one run of the server."""

    port: int
    realm: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    """First part of every path: the cookie lies below it."""
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Of the link that is open now; empty once it was used."""

    @property
    def root(self) -> str:
        """Path of the first page."""
        return f"/{self.realm}/"

    @property
    def link(self) -> str:
        """What a person opens, once."""
        return f"http://127.0.0.1:{self.port}{self.root}login?token={self.token}"

    def new_link(self) -> str:
        """Another one, for another browser; the one before is void."""
        self.token = secrets.token_urlsafe(32)
        return self.link

    def cookie_header(self) -> str:
        """`Set-Cookie` of whoever came by the link."""
        return f"{COOKIE}={self.session}; Path={self.root}; HttpOnly; SameSite=Strict"

    def redeem(self, token: str) -> bool:
        """Whether this is the token of the link; it is good once."""
        good = bool(self.token) and _same(token, self.token)
        if good:
            self.token = ""
        return good

    def knows(self, asked: Asked) -> bool:
        """Whether the session's cookie came with it."""
        return _same(asked.cookie, self.session)

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why this request is not answered; None where it is. The first that objects is heard."""
        return next(
            (said for rule in (self._address, self._page, self._signed_in, self._write) if (said := rule(asked))), None
        )

    def _address(self, asked: Asked) -> Refusal | None:
        """A name that leads here and is not ours, as in DNS rebinding."""
        good = len(asked.hosts) == 1 and asked.hosts[0] in self._hosts
        return None if good else Refusal(421, f"This address is not mine. {_ONLY_LINK}")

    def _page(self, asked: Asked) -> Refusal | None:
        """What is not below the realm, and what another page's script asks for."""
        if not asked.path.startswith(self.root):
            return Refusal(404, f"There is nothing here. {_ONLY_LINK}")
        foreign = asked.origins and list(asked.origins) != self._origin(asked)
        return Refusal(403, "Another page asked for this, so nothing was done.") if foreign else None

    def _signed_in(self, asked: Asked) -> Refusal | None:
        """Without the cookie; the link brings its token instead, from wherever it is opened."""
        if self._by_link(asked) or self.knows(asked):
            return None
        return Refusal(403, f"This browser is not signed in. {_ONLY_LINK}")

    def _write(self, asked: Asked) -> Refusal | None:
        """A write that this page did not ask for; a look from elsewhere, by browsers that know no Strict cookies."""
        if asked.method in SAFE:
            foreign = asked.fetch_site not in {"", "same-origin", "none"} and not self._by_link(asked)
            return Refusal(403, "Another page asked for this.") if foreign else None
        if asked.method != "POST":
            return Refusal(405, "Only GET and POST are answered here.")
        own = list(asked.origins) == self._origin(asked) and asked.fetch_site in {"", "same-origin"}
        return None if own else Refusal(403, "It is not said that this page asked for it, so nothing was done.")

    def _by_link(self, asked: Asked) -> bool:
        return asked.path == f"{self.root}login" and asked.method in SAFE

    @staticmethod
    def _origin(asked: Asked) -> list[str]:
        return [f"http://{asked.hosts[0]}"]

    @property
    def _hosts(self) -> frozenset[str]:
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
