"""The user's browser, sent to the page without telling anybody else where that is.

What a program is started with is for every user of the machine to read, also what a browser is. So the browser is told
the name of a file, which its user alone can read and which leads on to the link; it goes as soon as the link was used.
"""

import asyncio
import contextlib
import tempfile
import webbrowser
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from typing import Final

from workerpool_operator.ui.guard import Guard

_LOOK_SECONDS: Final = 0.2
_SNAPS: Final = Path("/snap/bin")
"""Browsers from there have a /tmp of their own, and see the user's home only."""
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={link}">
<title>wpool ui</title>
</head>
<body><p><a href="{link}">Open the page</a></p></body>
</html>
"""


@contextlib.asynccontextmanager
async def browsed(guard: Guard) -> AsyncIterator[None]:
    """Open the page in the user's browser, if there is one; the link that it takes is good once, as any other."""
    with contextlib.ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wpool-ui-", dir=_room())))
            file = written(folder, guard.link)
        except OSError:  # no room for it: the link that was printed is still good
            yield
            return
        gone = asyncio.create_task(_gone_when_used(guard, file))
        try:
            await asyncio.to_thread(webbrowser.open, file.as_uri())
            yield
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)


def written(folder: Path, link: str) -> Path:
    """The file that leads to the link, for nobody else's eyes."""
    file = folder / "open.html"
    file.touch(mode=0o600)
    file.write_text(_PAGE.format(link=escape(link)), "utf-8")
    return file


def _room() -> Path | None:
    """Where a browser can read it; None: where temporary files are."""
    return Path.home() if _SNAPS.is_dir() else None


async def _gone_when_used(guard: Guard, file: Path) -> None:
    link = guard.link
    while guard.token and guard.link == link:  # noqa: ASYNC110  the guard tells nobody
        await asyncio.sleep(_LOOK_SECONDS)
    await asyncio.to_thread(file.unlink, missing_ok=True)
