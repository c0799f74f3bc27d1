"""Which calls make tasks. And `finding`, since every rule needs it."""

import ast
from typing import Final

from workerpool_operator.cli.check.findings import Finding, Rule
from workerpool_operator.cli.check.module import Module

_BY_LOOP: Final = frozenset({"asyncio.create_task", "asyncio.ensure_future"})
_LOOPS: Final = frozenset(
    {"asyncio.get_running_loop", "asyncio.get_event_loop", "asyncio.new_event_loop", "asyncio.AbstractEventLoop"}
)
_GROUPS: Final = frozenset(
    {
        "asyncio.TaskGroup.create_task",
        "anyio.create_task_group.start_soon",
        "trio.open_nursery.start_soon",
    }
)


def made_by_loop(module: Module, call: ast.Call) -> bool:
    """Whether this makes a task that is its caller's to hold."""
    name = module.name_of(call)
    if name in _BY_LOOP:
        return True
    owner, _, method = name.rpartition(".")
    if method == "create_task" and owner in _LOOPS:
        return True
    return isinstance(call.func, ast.Attribute) and ast.unparse(call.func) in {
        "loop.create_task",
        "self._loop.create_task",
    }


def makes_task(module: Module, call: ast.Call) -> bool:
    """Whether this makes a task, held by its caller or by a group."""
    return made_by_loop(module, call) or module.name_of(call) in _GROUPS


def finding(module: Module, node: ast.expr, rule: Rule, what: str) -> Finding:
    """At this expression."""
    return Finding(
        file=module.file,
        line=node.lineno,
        column=node.col_offset + 1,
        rule=rule,
        what=what,
        last_line=node.end_lineno or node.lineno,
    )
