"""Who may use the page, and who may not."""

from typing import Any

import pytest

from tests.support.attacks import attack
from workerpool_operator.ui.guard import HEADERS, Asked, Guard

PORT = 8799


@pytest.fixture
def guard() -> Guard:
    return Guard(port=PORT)


def asked(guard: Guard, **fields: Any) -> Asked:
    """What the page's own script asks; changed by `fields`."""
    usual: dict[str, Any] = {
        "method": "GET",
        "path": guard.root,
        "hosts": [f"127.0.0.1:{PORT}"],
        "fetch_site": "same-origin",
        "cookie": guard.session,
    }
    return Asked(**usual | fields)


def status(guard: Guard, **fields: Any) -> int:
    """200 where it is answered."""
    refusal = guard.refusal(asked(guard, **fields))
    return refusal.status if refusal else 200


def test_the_page_itself_is_answered(guard: Guard) -> None:
    """Typed into the address bar, by its script, by either name of this machine."""
    assert status(guard) == 200
    assert status(guard, fetch_site="none") == 200
    assert status(guard, fetch_site="") == 200
    assert status(guard, hosts=[f"localhost:{PORT}"], origins=[f"http://localhost:{PORT}"]) == 200


@pytest.mark.parametrize(
    "hosts",
    [[], ["evil.example"], [f"evil.example:{PORT}"], ["127.0.0.1"], ["127.0.0.1:1"], [f"127.0.0.1:{PORT}", "evil"]],
)
@attack(
    "another name for this machine, to read the page of its user (DNS rebinding)",
    stopped_by="the page answers to its own names only",
)
def test_another_host_is_not_answered(guard: Guard, hosts: list[str]) -> None:
    """DNS rebinding: the name is another's though it leads here; with the cookie, too."""
    assert status(guard, hosts=hosts) == 421


@pytest.mark.parametrize("cookie", ["", "x", "\u00e9"])
@attack("the page, asked for by another user of the machine", stopped_by="a path and a cookie that nobody else knows")
def test_without_the_cookie_nothing_is_told(guard: Guard, cookie: str) -> None:
    """Another user of this machine knows neither path nor cookie."""
    assert status(guard, cookie=cookie) == 403
    assert status(guard, path="/", cookie=cookie) == 404
    refusal = guard.refusal(asked(guard, path="/", cookie=cookie))
    assert refusal is not None
    assert guard.realm not in refusal.message


@attack("the link to the page, used again", stopped_by="it is good once")
def test_the_link_is_good_once(guard: Guard) -> None:
    """Another one makes the one before void."""
    token = guard.token
    assert not guard.redeem("")
    assert not guard.redeem(token + "x")
    assert guard.redeem(token)
    assert not guard.redeem(token)
    assert not guard.redeem("")
    link = guard.new_link()
    again = guard.token
    assert link == f"http://127.0.0.1:{PORT}{guard.root}login?token={again}"
    guard.new_link()
    assert not guard.redeem(again)


def test_the_link_may_be_opened_from_anywhere(guard: Guard) -> None:
    """A mail or a terminal in the browser: the token speaks for it. Yet not by a script of another page."""
    login = f"{guard.root}login"
    assert status(guard, path=login, cookie="", fetch_site="cross-site") == 200
    assert status(guard, path=login, cookie="", method="POST") == 403
    assert status(guard, path=login, cookie="", origins=["http://evil.example"]) == 403


def test_the_cookie_goes_to_this_server_only(guard: Guard) -> None:
    """Browsers send cookies of 127.0.0.1 to each of its ports: a path that nobody knows keeps it from others."""
    header = guard.cookie_header()
    assert header == f"wpool={guard.session}; Path={guard.root}; HttpOnly; SameSite=Strict"
    assert len(guard.realm) >= 16
    assert len(guard.session) >= 43


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_page_asks_for_is_refused(guard: Guard, site: str) -> None:
    """Same site is another port of this machine."""
    assert status(guard, fetch_site=site) == 403
    assert status(guard, origins=["http://evil.example"]) == 403
    assert status(guard, origins=["null"]) == 403
    assert status(guard, origins=["http://127.0.0.1:1"]) == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"origins": []},
        {"origins": ["null"]},
        {"origins": ["http://evil.example"]},
        {"origins": [f"https://127.0.0.1:{PORT}"]},
        {"origins": [f"http://localhost:{PORT}"]},
        {"origins": [f"http://127.0.0.1:{PORT}"], "fetch_site": "cross-site"},
        {"origins": [f"http://127.0.0.1:{PORT}"], "cookie": ""},
    ],
    ids=str,
)
@attack(
    "a button of the page, pressed by another site (CSRF)",
    stopped_by="writes need the page's own origin, and the cookie goes to nobody else",
)
def test_a_write_has_to_come_from_this_page(guard: Guard, fields: dict[str, Any]) -> None:
    """Cross-site request forgery."""
    assert status(guard, method="POST", **fields) == 403
    assert status(guard, method="POST", origins=[f"http://127.0.0.1:{PORT}"]) == 200


def test_other_methods_are_refused(guard: Guard) -> None:
    """There is nothing to put or to delete."""
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE"):
        assert status(guard, method=method, origins=[f"http://127.0.0.1:{PORT}"]) == 405


def test_the_policy_allows_our_own_files_only() -> None:
    """No inline script, no frame around us, nothing from elsewhere."""
    policy = dict(part.strip().partition(" ")[::2] for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
