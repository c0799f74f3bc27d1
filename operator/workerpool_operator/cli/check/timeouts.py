"""Calls that can wait for ever: by library, what bounds them and what they do without it."""

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

from workerpool_operator.cli.check.findings import Finding, Rule
from workerpool_operator.cli.check.module import Function, Module, has_keyword, keyword
from workerpool_operator.cli.check.spawns import finding

_VERBS: Final = ("get", "options", "head", "post", "put", "patch", "delete", "request")


class _Bound(NamedTuple):
    """What bounds a call."""

    keywords: tuple[str, ...]
    default: str
    """What happens without."""
    interruptible: bool = False
    """Whether `async with asyncio.timeout()` around it bounds it, too."""
    positional: int | None = None
    """Where a timeout may stand without its name, counting from 1."""


_FOREVER: Final = "waits for ever"
_AIOHTTP: Final = _Bound(("timeout",), "waits for 5 minutes", interruptible=True)
_ASYNCPG: Final = _Bound(("command_timeout",), "lets each statement wait for ever", interruptible=True)
_REDIS: Final = _Bound(("socket_timeout",), "lets each command wait for ever")
_CALLS: Final = {
    **{f"requests.{verb}": _Bound(("timeout",), _FOREVER) for verb in _VERBS},
    **{f"requests.Session.{verb}": _Bound(("timeout",), _FOREVER) for verb in _VERBS},
    **{f"requests.session.{verb}": _Bound(("timeout",), _FOREVER) for verb in _VERBS},
    "aiohttp.ClientSession": _AIOHTTP,
    "asyncpg.connect": _ASYNCPG,
    "asyncpg.create_pool": _ASYNCPG,
    "redis.Redis": _REDIS,
    "redis.StrictRedis": _REDIS,
    "redis.from_url": _REDIS,
    "redis.Redis.from_url": _REDIS,
    "redis.asyncio.Redis": _REDIS,
    "redis.asyncio.from_url": _REDIS,
    "redis.asyncio.Redis.from_url": _REDIS,
    "urllib.request.urlopen": _Bound(("timeout",), _FOREVER, positional=3),
    "socket.create_connection": _Bound(("timeout",), _FOREVER, positional=2),
    "smtplib.SMTP": _Bound(("timeout",), _FOREVER, positional=4),
    "smtplib.SMTP_SSL": _Bound(("timeout",), _FOREVER),
    "ftplib.FTP": _Bound(("timeout",), _FOREVER, positional=5),
    "asyncio.open_connection": _Bound((), _FOREVER, interruptible=True),
    "asyncio.wait": _Bound(("timeout",), _FOREVER, interruptible=True),
    "subprocess.run": _Bound(("timeout",), _FOREVER),
    "subprocess.call": _Bound(("timeout",), _FOREVER),
    "subprocess.check_call": _Bound(("timeout",), _FOREVER),
    "subprocess.check_output": _Bound(("timeout",), _FOREVER),
    "subprocess.Popen.wait": _Bound(("timeout",), _FOREVER, positional=1),
    "subprocess.Popen.communicate": _Bound(("timeout",), _FOREVER, positional=2),
    "threading.Thread.join": _Bound(("timeout",), _FOREVER, positional=1),
    "threading.Event.wait": _Bound(("timeout",), _FOREVER, positional=1),
    "multiprocessing.Process.join": _Bound(("timeout",), _FOREVER, positional=1),
    "queue.Queue.get": _Bound(("timeout", "block"), _FOREVER, positional=1),
    "queue.SimpleQueue.get": _Bound(("timeout", "block"), _FOREVER, positional=1),
}
_OF_ITS_OWN: Final = frozenset(
    {
        "asyncio.wait",
        "threading.Thread.join",
        "threading.Event.wait",
        "multiprocessing.Process.join",
        "queue.Queue.get",
        "queue.SimpleQueue.get",
    }
)
"""Waits for the program's own parts: right in a main program, and a hazard in the handler of a job."""
_WAIT_LATER: Final = frozenset({"aiohttp.ClientSession", "asyncpg.connect", "asyncpg.create_pool"})
"""Not they wait but what is made of them does, elsewhere."""
_TIMEOUTS: Final = frozenset(
    {
        "asyncio.timeout",
        "asyncio.timeout_at",
        "anyio.fail_after",
        "anyio.move_on_after",
        "trio.fail_after",
        "trio.move_on_after",
        "async_timeout.timeout",
    }
)
_DEFAULTS_TO_FIVE_SECONDS: Final = ("httpx.",)


def missing_timeout(module: Module) -> Iterator[Finding]:
    """Calls without their timeout, timeouts that are switched off, and jobs that declare none."""
    for call in module.calls():
        name = module.name_of(call)
        if _switched_off(call) and name.startswith((*_DEFAULTS_TO_FIVE_SECONDS, "requests.", "aiohttp.", "redis.")):
            yield finding(module, call, Rule.MISSING_TIMEOUT, f"{name}() has its timeout switched off")
        elif _is_job(module, call) and not has_keyword(call, "timeout"):
            text = f"the job {_first(call)} declares no timeout: a worker that runs it is never stopped meanwhile"
            yield finding(module, call, Rule.MISSING_TIMEOUT, text)
        elif name in _CALLS and not _is_bounded(module, call, _CALLS[name]):
            bound = _CALLS[name]
            say = f" without {bound.keywords[0]}=" if bound.keywords else ""
            yield finding(module, call, Rule.MISSING_TIMEOUT, f"{name}(){say} {bound.default}")


def _is_bounded(module: Module, call: ast.Call, bound: _Bound) -> bool:
    if module.name_of(call) in _OF_ITS_OWN and not _in_handler(module, call):
        return True
    if has_keyword(call, *bound.keywords) or any(isinstance(each, ast.Starred) for each in call.args):
        return True
    if bound.positional is not None and len(call.args) >= bound.positional:
        return True
    if not bound.interruptible or module.name_of(call) in _WAIT_LATER:
        return False
    return _in_timeout(module, call)


def _in_timeout(module: Module, call: ast.Call) -> bool:
    """Whether `asyncio.timeout` or its kin is around it, or the job that it is in has one of its own."""
    for node in module.around(call):
        if isinstance(node, ast.AsyncWith | ast.With):
            if any(module.name_of(item.context_expr) in _TIMEOUTS for item in node.items):
                return True
        elif isinstance(node, ast.Call) and module.name_of(node) == "asyncio.wait_for":
            return True
        elif isinstance(node, Function):
            return any(
                isinstance(each, ast.Call) and _is_job(module, each) and has_keyword(each, "timeout")
                for each in node.decorator_list
            )
    return False


def _in_handler(module: Module, call: ast.Call) -> bool:
    """Whether this is in a function that is given a job."""
    function = next((each for each in module.around(call) if isinstance(each, Function)), None)
    return function is not None and any(each.arg == "job" for each in function.args.args)


def _switched_off(call: ast.Call) -> bool:
    """`timeout=None`, or an object whose only value is None."""
    given = keyword(call, "timeout") or keyword(call, "socket_timeout")
    if isinstance(given, ast.Call):
        values = [*given.args, *(each.value for each in given.keywords if each.arg in {None, "total", "timeout"})]
        return len(values) == 1 and _is_none(values[0]) and len(given.keywords) <= 1
    return given is not None and _is_none(given)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_job(module: Module, call: ast.Call) -> bool:
    """`@worker.job(...)` over a function."""
    over = module.parents.get(call)
    return (
        isinstance(over, Function) and call in over.decorator_list and module.name_of(call) == "workerpool.Worker.job"
    )


def _first(call: ast.Call) -> str:
    return ast.unparse(call.args[0]) if call.args else ""
