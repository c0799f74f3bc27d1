"""The store of large data: jobs carry the key of an object, never the object itself.

A broker holds all waiting jobs in memory and sends each of them at least twice, so a photograph has no place in one.

Objects are written once and never changed: `put_new` of a key that is there does nothing. So a job that runs again
leaves the object as its first attempt left it, and a worker finds in the store what is done already.

| `BLOBS_URL` | The store |
|---|---|
| `file:///images` | a folder, on a volume that all workers mount |
| `http://store:8080`, `https://...` | a server that knows GET, HEAD, and PUT with `If-None-Match: *` |

S3 and its kin know them; where they want requests signed, put a proxy that signs before them.

All calls block, for a time that has a bound: from a process or a thread of a lane call them as they are, from the event
loop through `AsyncBlobs`.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from workerpool import ConfigurationError, Job

if TYPE_CHECKING:
    import httpx

MAX_BYTES: Final = 16 * 1024 * 1024
"""Of an object: larger ones are not read."""
_THREADS: Final = 16
_PLAIN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
_KEY: Final = re.compile(rf"{_NAME}(/{_NAME}){{0,7}}")
_OK, _NOT_FOUND, _PRECONDITION_FAILED = 200, 404, 412
_STORED: Final = frozenset({200, 201, 204})

P = ParamSpec("P")
T = TypeVar("T")


class BadKeyError(ValueError):
    """No object can have this key."""


class MissingError(Exception):
    """The store holds no object of this key, or not yet."""


class TooLargeError(Exception):
    """The object has more than `MAX_BYTES`."""


class StoreError(Exception):
    """The store did not do what was asked: try later."""


class Blobs(Protocol):
    """A store. Calls raise `BadKeyError`, and `StoreError` when it is away; a put may have happened nevertheless."""

    def has(self, key: str) -> bool:
        """Whether there is an object of this key."""
        ...

    def get(self, key: str) -> bytes:
        """The object.

        Raises:
            MissingError: there is none.
            TooLargeError: it has more than `MAX_BYTES`.
        """
        ...

    def put_new(self, key: str, data: bytes) -> bool:
        """Store an object, whole or not at all; False: there is one already, and it stays as it is."""
        ...

    def close(self) -> None:
        """Let go of all connections."""
        ...


def checked_key(key: str) -> str:
    """The key: up to eight names with `/` between them, none of which begins with a dot.

    Raises:
        BadKeyError: it is none.
    """
    if not _KEY.fullmatch(key):
        raise BadKeyError(f"{key[:200]!r} is no key of an object: write one such as originals/17.jpg")
    return key


def name_of(job: Job) -> str:
    """The job's id where it is a plain name, else a digest of it: the same for all attempts, and for no other job."""
    if _PLAIN_ID.fullmatch(job.id):
        return job.id
    return f"sha256-{hashlib.sha256(job.id.encode()).hexdigest()}"


def key_for(folder: str, job: Job, suffix: str = "") -> str:
    """The key of what a job makes."""
    return f"{folder}/{name_of(job)}{suffix}"


def open_blobs(env: Mapping[str, str] = os.environ) -> Blobs:
    """The store that `BLOBS_URL` names. Nothing is dialled yet.

    Raises:
        ConfigurationError: it names none.
    """
    url = env.get("BLOBS_URL", "")
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and len(parts.path) > 1:
        return DirectoryBlobs(Path(unquote(parts.path)))
    if parts.scheme in {"http", "https"} and parts.hostname:
        return HttpBlobs(url)
    raise ConfigurationError("BLOBS_URL names no store: write file:///images or http://store:8080")


class DirectoryBlobs:
    """A folder. Files whose names begin with a dot are halves that a killed writer left; they may be deleted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, key: str) -> bool:
        """See `Blobs`."""
        try:
            return self._path(key).is_file()
        except OSError as error:
            raise StoreError(f"{key} cannot be looked for: {error}") from error

    def get(self, key: str) -> bytes:
        """See `Blobs`."""
        try:
            with self._path(key).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise MissingError(key) from error
        except OSError as error:
            raise StoreError(f"{key} cannot be read: {error}") from error
        return _bounded(key, data)

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Blobs`. It is on the disk when this returns: the job that made it is acknowledged after that."""
        path = self._path(key)
        draft = path.with_name(f".{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            path.hardlink_to(draft)
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreError(f"{key} cannot be written: {error}") from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink()
        return True

    def close(self) -> None:
        """See `Blobs`."""

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)


class HttpBlobs:
    """A server. `PUT` with `If-None-Match: *` is RFC 9110, 13.1.2; S3 and its kin know it too."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/"
        self._opening = threading.Lock()
        self._client: httpx.Client | None = None

    def has(self, key: str) -> bool:
        """See `Blobs`."""
        status = self._ask("HEAD", key).status_code
        if status not in {_OK, _NOT_FOUND}:
            raise StoreError(f"HEAD {key}: the store answers {status}")
        return status == _OK

    def get(self, key: str) -> bytes:
        """See `Blobs`."""
        data = bytearray()
        with self._asking("GET", key) as (client, path), client.stream("GET", path) as answer:
            if answer.status_code == _NOT_FOUND:
                raise MissingError(key)
            if answer.status_code != _OK:
                raise StoreError(f"GET {key}: the store answers {answer.status_code}")
            for piece in answer.iter_bytes():
                data += piece
                if len(data) > MAX_BYTES:
                    break
        return _bounded(key, bytes(data))

    def put_new(self, key: str, data: bytes) -> bool:
        """See `Blobs`."""
        status = self._ask("PUT", key, content=data, headers={"If-None-Match": "*"}).status_code
        if status not in _STORED | {_PRECONDITION_FAILED}:
            # 409 is S3's word for two writers at the same time: the next attempt finds the object.
            raise StoreError(f"PUT {key}: the store answers {status}")
        return status in _STORED

    def close(self) -> None:
        """See `Blobs`."""
        if self._client is not None:
            self._client.close()

    def _ask(self, method: str, key: str, **more: Any) -> "httpx.Response":
        with self._asking(method, key) as (client, path):
            return client.request(method, path, **more)

    @contextlib.contextmanager
    def _asking(self, method: str, key: str) -> Iterator[tuple["httpx.Client", str]]:
        import httpx  # noqa: PLC0415  takes longer to import than all the rest: not before the first job

        with self._opening:
            if self._client is None:
                # Each wait has a bound, and what is read has one, so a call ends.
                self._client = httpx.Client(
                    base_url=self._url,
                    timeout=httpx.Timeout(10.0, connect=5.0),
                    limits=httpx.Limits(max_connections=_THREADS),
                )
        try:
            yield self._client, checked_key(key)
        except httpx.HTTPError as error:
            raise StoreError(f"{method} {key}: {error}") from error


class AsyncBlobs:
    """A store for the event loop: its calls wait in threads of their own.

    Not in asyncio's, which name resolution needs too: a store that hangs would keep the worker from its broker.
    A call that is cancelled goes on in its thread, to its end or to its timeout.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")

    async def has(self, key: str) -> bool:
        """See `Blobs`."""
        return await self._call(self._blobs.has, key)

    async def put_new(self, key: str, data: bytes) -> bool:
        """See `Blobs`."""
        return await self._call(self._blobs.put_new, key, data)

    def close(self) -> None:
        """Let go of the store; waits for nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._blobs.close()

    async def _call(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*arguments, **named))


def _bounded(key: str, data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"{key} has more than {MAX_BYTES} bytes")
    return data
