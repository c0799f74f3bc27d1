"""Label selectors, read as Kubernetes reads them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workerpool_operator.serve.external_metrics.selector import MAX_LENGTH, MAX_REQUIREMENTS, SelectorError, parse

WEB = {"pool": "web"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("  ", True),
        ("pool=web", True),
        ("pool==web", True),
        (" pool = web ", True),
        ("pool=api", False),
        ("pool=", False),
        ("pool!=web", False),
        ("pool!=api", True),
        ("pool!=", True),
        ("pool in (api,web)", True),
        ("pool in ( api , web )", True),
        ("pool in(web)", True),
        ("pool in (api)", False),
        ("pool in (,api)", False),
        ("pool notin (api,web)", False),
        ("pool notin (api)", True),
        ("pool", True),
        ("!pool", False),
        ("! pool", False),
        ("team", False),
        ("!team", True),
        ("team!=a", True),
        ("team notin (a)", True),
        ("team in (a)", False),
        ("pool=web,team=a", False),
        ("pool=web,!team", True),
        ("pool=web,pool!=api,pool", True),
        ("pool>1", False),
        ("team<1", False),
        ("in=web", False),
        ("in in (in,notin)", False),
        ("app.kubernetes.io/name=web", False),
        ("pool=in", False),
    ],
)
def test_what_it_selects(text: str, *, matches: bool) -> None:
    assert parse(text).matches(WEB) is matches


@pytest.mark.parametrize(("text", "matches"), [("n>4", True), ("n>5", False), ("n<6", True), ("n<5", False)])
def test_numbers_are_compared_as_numbers(text: str, *, matches: bool) -> None:
    assert parse(text).matches({"n": "5"}) is matches


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("pool=web", {"web"}),
        ("pool in (web,api)", {"web", "api"}),
        ("pool in (web,api),pool=web,team=a", {"web"}),
        ("pool=web,pool=api", set()),
        ("pool", None),
        ("pool!=web", None),
        ("team=a", None),
        ("", None),
    ],
)
def test_which_values_can_be_selected_at_all(text: str, values: set[str] | None) -> None:
    assert parse(text).values("pool") == values


@pytest.mark.parametrize(
    "text",
    [
        "=web",
        "pool=web,",
        ",pool=web",
        "pool=web pool=api",
        "pool web",
        "pool in",
        "pool in ()",
        "pool in web",
        "pool in (web",
        "pool in (web))",
        "pool in (web api)",
        "pool=web=api",
        "pool=(web)",
        "pool>many",
        "pool>",
        "!pool=web",
        "!",
        "po ol=web",
        "-pool=web",
        "pool=-web",
        "pool=" + "x" * 64,
        "x" * 64 + "=web",
        "UPPER.example/pool=web",
        "/pool=web",
        "a/b/c=web",
        "pool=we\nb",
        "pööl=web",
        "pool=web\n,",
    ],
)
def test_what_cannot_be_read_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(SelectorError) as refused:
        parse(text)
    assert repr(text) in str(refused.value)


def test_how_many_requirements_there_may_be() -> None:
    """Each is asked of each pool, while nobody else is answered."""
    most = ",".join(["!team"] * MAX_REQUIREMENTS)
    assert parse(most).matches(WEB)
    with pytest.raises(SelectorError, match=f"more than {MAX_REQUIREMENTS} requirements"):
        parse(f"{most},!team")


def test_how_long_it_may_be() -> None:
    names = "x" * (MAX_LENGTH - len("pool=web,a in ()"))
    with pytest.raises(SelectorError, match="no value of a label"):
        parse(f"pool=web,a in ({names})")
    with pytest.raises(SelectorError, match=f"may have {MAX_LENGTH}"):
        parse(f"pool=web,a in ({names}x)")


def test_a_set_of_many_values_is_read() -> None:
    """As many as fit: the way to name many pools."""
    names = [f"p{number}" for number in range(700)]
    assert parse(f"pool in ({','.join(names)})").values("pool") == frozenset(names)


@given(st.text(alphabet="pol=!,()<> inwebA1-./_\n", max_size=30))
def test_any_text_selects_or_is_refused(text: str) -> None:
    with suppress(SelectorError):
        parse(text).matches(WEB)


@given(st.lists(st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?\Z"), min_size=1, max_size=4), st.data())
def test_a_set_selects_what_is_in_it_and_its_opposite_what_is_not(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*names, "other-name"]))
    listed = ",".join(names)
    assert parse(f"pool in ({listed})").matches({"pool": name}) is (name in names)
    assert parse(f"pool notin ({listed})").matches({"pool": name}) is (name not in names)
