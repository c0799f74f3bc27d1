"""The rules: each is given a parsed file and tells what it finds. Bounds and timeouts are in modules of their own."""

import ast
from collections.abc import Callable, Iterator
from typing import Final

from workerpool_operator.cli.check.bounds import unbounded_gather, unbounded_tasks
from workerpool_operator.cli.check.findings import Finding, Rule
from workerpool_operator.cli.check.module import Function, Module, own_nodes
from workerpool_operator.cli.check.spawns import finding, made_by_loop
from workerpool_operator.cli.check.timeouts import missing_timeout

_HTTP_VERBS: Final = frozenset({"get", "options", "head", "post", "put", "patch", "delete", "request", "send"})
_BLOCKING: Final = frozenset(
    {
        "time.sleep",
        "os.system",
        "os.wait",
        "os.waitpid",
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "subprocess.Popen.wait",
        "subprocess.Popen.communicate",
        "urllib.request.urlopen",
        "urllib.request.urlretrieve",
        "socket.create_connection",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "smtplib.SMTP",
        "smtplib.SMTP_SSL",
        "ftplib.FTP",
        "sqlite3.connect",
        "psycopg2.connect",
        "psycopg.connect",
        "pymysql.connect",
        "threading.Thread.join",
        "threading.Event.wait",
        "queue.Queue.get",
        "queue.SimpleQueue.get",
        "multiprocessing.Process.join",
        "concurrent.futures.wait",
        "shutil.copyfile",
        "shutil.copy",
        "shutil.copy2",
        "shutil.copytree",
        "shutil.copyfileobj",
        "shutil.rmtree",
        "shutil.make_archive",
        "shutil.unpack_archive",
        "open",
        "io.open",
        "input",
    }
    | {f"requests.{verb}" for verb in _HTTP_VERBS}
    | {f"requests.Session.{verb}" for verb in _HTTP_VERBS}
    | {f"requests.session.{verb}" for verb in _HTTP_VERBS}
    | {f"httpx.{verb}" for verb in _HTTP_VERBS}
    | {f"httpx.Client.{verb}" for verb in _HTTP_VERBS}
)
_THREAD_LOCKS: Final = frozenset({"threading.Lock", "threading.RLock", "threading.Condition", "multiprocessing.Lock"})
_ASYNC_LOCKS: Final = frozenset({"asyncio.Lock", "asyncio.Condition", "anyio.Lock", "trio.Lock"})
_NETWORK_LIBRARIES: Final = (
    "httpx.",
    "aiohttp.",
    "asyncpg.",
    "redis.",
    "psycopg.",
    "aio_pika.",
    "nats.",
    "aiokafka.",
    "asyncio.open_connection",
)
_NETWORK_OWNERS: Final = frozenset({"client", "session", "http", "connection", "conn", "pool", "redis", "db"})


def blocking_call(module: Module) -> Iterator[Finding]:
    """Calls that block the event loop, themselves or through a plain function of the same file."""
    blocking = dict(_blocking_functions(module))
    for call in module.calls():
        if not module.in_event_loop(call):
            continue
        name = module.name_of(call)
        if name in _BLOCKING and not isinstance(module.parents.get(call), ast.Await):
            yield finding(module, call, Rule.BLOCKING_CALL, f"{name}() blocks the event loop")
        elif isinstance(call.func, ast.Name) and call.func.id in blocking:
            inner, line = blocking[call.func.id]
            text = f"{call.func.id}() blocks the event loop: it calls {inner}() in line {line}"
            yield finding(module, call, Rule.BLOCKING_CALL, text)


def dropped_task(module: Module) -> Iterator[Finding]:
    """Tasks that nobody holds. A TaskGroup holds its own."""
    for call in module.calls():
        if made_by_loop(module, call) and isinstance(module.parents.get(call), ast.Expr):
            yield finding(module, call, Rule.DROPPED_TASK, f"nobody holds the task of {ast.unparse(call.func)}()")


def lock_over_network(module: Module) -> Iterator[Finding]:
    """`async with` an asyncio lock around a call over the network, or `with` a thread's lock around any await."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.With | ast.AsyncWith):
            continue
        awaits = [each for each in _within(node) if isinstance(each, ast.Await)]
        for item in node.items:
            made_by = module.name_of(item.context_expr)
            if isinstance(node, ast.With) and made_by in _THREAD_LOCKS and awaits:
                text = (
                    f"{ast.unparse(item.context_expr)} is a lock of threads, and is held over an await: its next user "
                )
                yield finding(module, awaits[0], Rule.LOCK_OVER_NETWORK, text + "stops the event loop")
            elif isinstance(node, ast.AsyncWith) and made_by in _ASYNC_LOCKS:
                calls = [each for each in awaits if _is_network(module, each)]
                for each in calls[:1]:
                    text = f"{ast.unparse(item.context_expr)} is held while {_callee(each)}() waits for the network"
                    yield finding(module, each, Rule.LOCK_OVER_NETWORK, text)


RULES: Final[dict[Rule, Callable[[Module], Iterator[Finding]]]] = {
    Rule.UNBOUNDED_GATHER: unbounded_gather,
    Rule.UNBOUNDED_TASKS: unbounded_tasks,
    Rule.MISSING_TIMEOUT: missing_timeout,
    Rule.BLOCKING_CALL: blocking_call,
    Rule.DROPPED_TASK: dropped_task,
    Rule.LOCK_OVER_NETWORK: lock_over_network,
}


def _blocking_functions(module: Module) -> Iterator[tuple[str, tuple[str, int]]]:
    """Plain functions that block: what they call first, and in which line."""
    for name, function in module.functions.items():
        if isinstance(function, ast.AsyncFunctionDef) or not isinstance(module.parents.get(function), ast.Module):
            continue
        called = [each for each in own_nodes(function) if isinstance(each, ast.Call)]
        found = sorted((each.lineno, module.name_of(each)) for each in called if _blocks_surely(module, each))
        if found:
            line, inner = found[0]
            yield name, (inner, line)


def _blocks_surely(module: Module, call: ast.Call) -> bool:
    """A plain function that opens a file may be one for small ones: only what waits counts here."""
    return module.name_of(call) in _BLOCKING - {"open", "io.open", "sqlite3.connect"}


def _within(node: ast.With | ast.AsyncWith) -> Iterator[ast.AST]:
    for statement in node.body:
        if not isinstance(statement, Function | ast.ClassDef):
            yield statement
            left = list(ast.iter_child_nodes(statement))
            while left:
                each = left.pop()
                if not isinstance(each, Function | ast.Lambda):
                    yield each
                    left.extend(ast.iter_child_nodes(each))


def _is_network(module: Module, node: ast.Await) -> bool:
    call = node.value
    if not isinstance(call, ast.Call):
        return False
    if module.name_of(call).startswith(_NETWORK_LIBRARIES):
        return True
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
    return last.strip("_").lower() in _NETWORK_OWNERS


def _callee(node: ast.Await) -> str:
    return ast.unparse(node.value.func) if isinstance(node.value, ast.Call) else ast.unparse(node.value)
