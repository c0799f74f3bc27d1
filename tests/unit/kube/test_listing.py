"""Listing in pages, when pages fail."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from workerpool_operator.kube import errors, kinds
from workerpool_operator.kube.listing import Listing, Page, entries_of, objects_of

Json = dict[str, Any]


class Pages:
    """Answers page requests from a script: a page, or an error."""

    def __init__(self, *script: Page[Json] | errors.KubeError) -> None:
        self.tokens: list[str] = []
        self.slept: list[float] = []
        self.retries = 0
        self._script = list(script)

    async def __call__(self, token: str) -> Page[Json]:
        self.tokens.append(token)
        step = self._script.pop(0)
        if isinstance(step, errors.KubeError):
            raise step
        return step

    def listing(self) -> Listing[Json]:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        def count() -> None:
            self.retries += 1

        return Listing(self, on_retry=count, sleep=sleep)


def page(*names: str, version: str = "10", more: str = "") -> Page[Json]:
    return Page([{"metadata": {"name": name}} for name in names], version, more)


def names(objects: list[dict[str, Any]]) -> list[str]:
    return [obj["metadata"]["name"] for obj in objects]


async def test_pages_are_followed() -> None:
    pages = Pages(page("a", "b", more="t1"), page("c"))
    assert names(await pages.listing().all()) == ["a", "b", "c"]
    assert pages.tokens == ["", "t1"]


async def test_an_empty_page_in_the_middle_ends_nothing() -> None:
    assert names(await Pages(page(more="t1"), page("a")).listing().all()) == ["a"]


async def test_an_expired_token_is_replaced_by_the_servers_and_nothing_comes_twice() -> None:
    expired = errors.Expired(status=410, continue_token="newer")
    pages = Pages(page("a", version="10", more="old"), expired, page("b", version="99"))
    listing = pages.listing()
    assert names(await listing.all()) == ["a", "b"]
    assert pages.tokens == ["", "old", "newer"]
    assert listing.resource_version == "10", "the first page's: what came later than that is not judged"


@pytest.mark.parametrize("offered", ["", "old"])
async def test_an_expired_token_without_another_is_an_error(offered: str) -> None:
    pages = Pages(page("a", more="old"), errors.Expired(status=410, continue_token=offered))
    with pytest.raises(errors.Expired):
        await pages.listing().all()


async def test_a_throttled_page_is_asked_for_again_after_what_the_server_says() -> None:
    pages = Pages(page("a", more="t1"), errors.TooManyRequests(status=429, retry_after=7.0), page("b"))
    assert names(await pages.listing().all()) == ["a", "b"]
    assert pages.slept == [7.0]
    assert pages.retries == 1
    assert pages.tokens == ["", "t1", "t1"]


async def test_a_page_that_keeps_failing_is_an_error_in_the_end() -> None:
    pages = Pages(*(errors.Unavailable() for _ in range(5)))
    with pytest.raises(errors.Unavailable):
        await pages.listing().all()
    assert len(pages.slept) == 4
    assert pages.slept[-1] > pages.slept[0]


@pytest.mark.parametrize("error", [errors.Forbidden, errors.KindNotServed])
async def test_what_will_not_get_better_is_not_tried_again(error: Callable[[], errors.KubeError]) -> None:
    pages = Pages(error())
    with pytest.raises(errors.KubeError):
        await pages.listing().all()
    assert pages.tokens == [""]


POD: Json = {
    "metadata": {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
    "spec": {"nodeName": "n"},
}


def listed(*items: Json, **metadata: str) -> bytes:
    return json.dumps({"kind": "PodList", "metadata": metadata, "items": list(items)}).encode()


def test_objects_say_what_they_are() -> None:
    """The server leaves that out of the items of a list."""
    found = objects_of(kinds.POD, listed(POD, resourceVersion="10", **{"continue": "t1"}))
    assert found.items == [POD | {"apiVersion": "v1", "kind": "Pod"}]
    assert (found.resource_version, found.continue_token) == ("10", "t1")


def test_entries_say_who_they_are_and_give_the_rest_when_asked() -> None:
    found = entries_of(kinds.POD, listed(POD, resourceVersion="10"))
    (entry,) = found.items
    assert (entry.namespace, entry.name, entry.uid, entry.resource_version) == ("ns", "a", "u", "7")
    assert entry.read() == POD | {"apiVersion": "v1", "kind": "Pod"}
    assert (found.resource_version, found.continue_token) == ("10", "")


def test_what_has_no_namespace_is_listed_too() -> None:
    node = {"metadata": {"name": "n", "uid": "u", "resourceVersion": "7"}}
    assert entries_of(kinds.NODE, listed(node)).items[0].namespace == ""


@pytest.mark.parametrize("take", [objects_of, entries_of])
def test_a_list_without_items_is_empty(take: Callable[..., Page[Any]]) -> None:
    """Some servers leave them out, or say null."""
    assert take(kinds.POD, b"{}").items == []
    assert take(kinds.POD, b'{"items": null, "metadata": null}').items == []


@pytest.mark.parametrize("take", [objects_of, entries_of])
@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"items": 1}', b'{"items": [1]}', b'{"items": [{}]'])
def test_what_is_no_list_is_told(take: Callable[..., Page[Any]], data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        take(kinds.POD, data)
