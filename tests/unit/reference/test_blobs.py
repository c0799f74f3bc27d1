"""The store of large data: its keys, its addresses, and a folder as a store."""

import os
from pathlib import Path

import pytest

from reference_common import blobs
from reference_common.blobs import (
    BadKeyError,
    DirectoryBlobs,
    HttpBlobs,
    MissingError,
    StoreError,
    TooLargeError,
    checked_key,
    key_for,
    open_blobs,
)
from workerpool import ConfigurationError, Job


def job(job_id: str) -> Job:
    return Job(job_id, "t", None, attempt=1, queue="main")


@pytest.mark.parametrize("key", ["a", "originals/17.jpg", "a/b/c/d/e/f/g/h", "X-1_2.3"])
def test_a_plain_path_is_a_key(key: str) -> None:
    assert checked_key(key) == key


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a/.b", "a b", "ä", "a\n", "a%2e", "/".join("a" * 9)]
)
def test_what_could_lead_elsewhere_is_no_key(key: str) -> None:
    with pytest.raises(BadKeyError):
        checked_key(key)


@pytest.mark.parametrize("job_id", ["17", "load-1a-7", "../../etc/passwd", "ä" * 500, "a" * 101, "two words", "a\n"])
def test_every_job_has_a_key_and_no_two_share_one(job_id: str) -> None:
    key = key_for("thumbnails", job(job_id), ".jpg")
    assert checked_key(key) == key_for("thumbnails", job(job_id), ".jpg")
    assert key != key_for("thumbnails", job(job_id + "x"), ".jpg")


def test_a_plain_id_can_be_read_in_the_key() -> None:
    assert key_for("thumbnails", job("load-1-7"), ".jpg") == "thumbnails/load-1-7.jpg"


def test_the_address_says_what_kind_of_store_it_is(tmp_path: Path) -> None:
    assert isinstance(open_blobs({"BLOBS_URL": f"file://{tmp_path}"}), DirectoryBlobs)
    assert isinstance(open_blobs({"BLOBS_URL": "http://store:8080/images"}), HttpBlobs)


@pytest.mark.parametrize("url", ["", "images", "file://", "file:///", "file://host/images", "http://", "ftp://store"])
def test_an_address_of_nothing_is_told_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="BLOBS_URL"):
        open_blobs({"BLOBS_URL": url} if url else {})


def test_the_first_one_to_store_an_object_wins(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path)
    assert not store.has("a/b")
    assert store.put_new("a/b", b"first")
    assert not store.put_new("a/b", b"second")
    assert store.has("a/b")
    assert store.get("a/b") == b"first"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_an_object_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full, or a crash, in the middle of it."""
    store = DirectoryBlobs(tmp_path)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.put_new("a", b"half")
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    store = DirectoryBlobs(tmp_path)
    store.put_new("a/b", b"1")
    for key in ("x", "a", "a/b/c"):
        assert not store.has(key)
        with pytest.raises(MissingError):
            store.get(key)


def test_what_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "MAX_BYTES", 4)
    store = DirectoryBlobs(tmp_path)
    store.put_new("fits", b"1234")
    store.put_new("large", b"12345")
    assert store.get("fits") == b"1234"
    with pytest.raises(TooLargeError):
        store.get("large")
