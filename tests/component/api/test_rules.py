"""Each rule of the resource on a real API server: what it accepts, what it refuses, and with which words."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.component.api.rule_cases import ACCEPTED, REFUSED
from tests.support.pools import pool_body
from workerpool_operator.api.crd import root_schema
from workerpool_operator.domain.drift import covers
from workerpool_operator.kube import Kube, errors

pytestmark = [pytest.mark.component, pytest.mark.apiserver, pytest.mark.usefixtures("crds")]


@pytest.mark.parametrize("spec", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_a_valid_pool_is_accepted_with_all_that_it_says(kube: Kube, namespace: str, spec: dict[str, Any]) -> None:
    body = pool_body(namespace=namespace, **spec)
    del body["metadata"]["uid"]
    stored = await kube.create(body)
    assert covers(stored["spec"], body["spec"]), "a field was dropped"


@pytest.mark.parametrize(("spec", "field", "words"), REFUSED.values(), ids=REFUSED.keys())
async def test_an_invalid_pool_is_refused_with_what_to_write(
    kube: Kube, namespace: str, spec: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(errors.Invalid) as refused:
        await kube.create(pool_body(namespace=namespace, **spec))
    causes = [cause for cause in refused.value.causes if words in cause.message]
    assert causes, str(refused.value)
    assert any(cause.field == field for cause in causes), [cause.field for cause in causes]


def test_every_rule_is_seen_to_refuse() -> None:
    """A rule that no case above trips could be wrong for ever."""
    tripped = {words for _, _, words in REFUSED.values()} | {NAME_WORDS}
    unseen = [message for message in _messages(root_schema()) if not any(words in message for words in tripped)]
    assert not unseen


NAME_WORDS = "metadata.name must have at most 47 characters out of a-z, 0-9 and '-'"


@pytest.mark.parametrize("name", ["a", "a" * 47, "0-0"])
async def test_a_name_that_fits_is_accepted(kube: Kube, namespace: str, name: str) -> None:
    body = pool_body(name, namespace)
    del body["metadata"]["uid"]
    assert (await kube.create(body))["metadata"]["name"] == name


@pytest.mark.parametrize("name", ["a" * 48, "a.b"])
async def test_a_name_that_makes_no_deployment_is_refused(kube: Kube, namespace: str, name: str) -> None:
    with pytest.raises(errors.Invalid, match=NAME_WORDS):
        await kube.create(pool_body(name, namespace))


def _messages(schema: dict[str, Any]) -> Iterator[str]:
    yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", []))
    for child in schema.get("properties", {}).values():
        yield from _messages(child)
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _messages(schema[key])
