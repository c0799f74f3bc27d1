"""What the API server makes of hostile resources: each is refused with a sentence that says why.

They are sent as somebody who may edit the namespace, like most authors of pools. Where a field is unknown, the sentence
comes from strict validation, which kubectl asks for; without it the API server drops the field. So each is sent once
more without it, and the objects that the operator would make of what is left are looked at.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.component.chart.conftest import CommandError
from tests.component.hostile.conftest import AUTHOR, TENANT
from tests.component.hostile.resources import RESOURCES, Resource
from tests.support.attacks import attack
from tests.support.pools import pool_body
from workerpool_operator.api import parse
from workerpool_operator.domain import desired

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("author")]


def sent(kubectl: Callable[..., str], body: dict[str, Any], *, validate: str, user: str = AUTHOR) -> dict[str, Any]:
    """What the API server would store."""
    words = ("-n", TENANT, "create", "--dry-run=server", f"--validate={validate}", f"--as={user}")
    stored: dict[str, Any] = json.loads(kubectl(*words, "-f", "-", "-o", "json", stdin=json.dumps(body)))
    return stored


def body_of(resource: Resource) -> dict[str, Any]:
    body = pool_body(resource.name, TENANT, **resource.spec)
    del body["metadata"]["uid"]
    return body


def made_of(stored: dict[str, Any]) -> str:
    """All that is made for the pool, as text."""
    pool = parse(stored)
    revision = desired.revision_for(pool)
    template = desired.stored_template(revision.body)
    deployment = desired.deployment(pool, name=revision.name, template=template, replicas=1)
    rule = desired.prometheus_rule(pool, settings=desired.RuleSettings())
    return json.dumps([dict(revision.body), deployment, desired.disruption_budget(pool), rule])


def test_the_author_may_write_a_pool(kubectl: Callable[..., str]) -> None:
    """What is refused below is refused for its one hostile thing."""
    harmless = Resource("", "", {}, "", "")
    assert sent(kubectl, body_of(harmless), validate="strict")["spec"]["worker"]["image"] == "thumbs:1"


@pytest.mark.parametrize(
    "resource",
    [pytest.param(each, marks=attack(each.what, stopped_by=each.stopped_by), id=each.what) for each in RESOURCES],
)
def test_a_hostile_pool(kubectl: Callable[..., str], resource: Resource) -> None:
    with pytest.raises(CommandError) as refused:
        sent(kubectl, body_of(resource), validate="strict")
    assert resource.words in str(refused.value)
    with suppress(CommandError):
        assert resource.trace not in made_of(sent(kubectl, body_of(resource), validate="ignore"))
