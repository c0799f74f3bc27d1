"""What runs at once without a bound: `gather` over many coroutines, tasks made in a loop."""

import ast
from collections.abc import Iterator
from typing import Final

from workerpool_operator.cli.check.findings import Finding, Rule
from workerpool_operator.cli.check.module import Comprehension, Function, Loop, Module, Scope, own_nodes
from workerpool_operator.cli.check.spawns import finding, makes_task

FEW: Final = 16
"""So many at a time are no flood: a range of at most this, or a list that is written out."""
_GATHERS: Final = frozenset({"asyncio.gather", "asyncio.wait", "asyncio.as_completed"})
_BOUNDS: Final = frozenset(
    {
        "asyncio.Semaphore",
        "asyncio.BoundedSemaphore",
        "asyncio.Lock",
        "anyio.Semaphore",
        "anyio.CapacityLimiter",
        "trio.CapacityLimiter",
    }
)
_BOUND_WORDS: Final = ("sem", "limit", "slot", "bound", "endpoint", "lock")
_BATCH_WORDS: Final = ("batch", "chunk", "slice", "page")


def unbounded_gather(module: Module) -> Iterator[Finding]:
    """`gather(*[f(x) for x in xs])`, where neither f nor xs has a bound."""
    for call in module.calls():
        if module.name_of(call) not in _GATHERS:
            continue
        for source in _sources(module, call):
            made = _made_in(source)
            if made is None or makes_task(module, made) or _called_is_bounded(module, made):
                continue  # tasks are found where they are made
            if not _few(module, _iterated(source)):
                over = ast.unparse(_iterated(source))
                text = f"{ast.unparse(call.func)} runs {ast.unparse(made.func)}() for all of `{over}` at once"
                yield finding(module, call, Rule.UNBOUNDED_GATHER, text)


def unbounded_tasks(module: Module) -> Iterator[Finding]:
    """Tasks made in a loop or a comprehension."""
    for call in module.calls():
        if not makes_task(module, call):
            continue
        turns = _turns_around(module, call)
        if turns is None or (call.args and _called_is_bounded(module, call.args[0])):
            continue
        if isinstance(turns, Comprehension) or not _loop_waits(module, turns):
            text = f"a task for each turn of the loop in line {turns.lineno}, however many there are"
            yield finding(module, call, Rule.UNBOUNDED_TASKS, text)


def _sources(module: Module, call: ast.Call) -> Iterator[ast.AST]:
    """What the coroutines come from: the starred arguments of gather, the first one of wait and as_completed."""
    given: list[ast.expr] = [each.value for each in call.args if isinstance(each, ast.Starred)]
    if module.name_of(call) != "asyncio.gather":
        given = call.args[:1]
    for each in given:
        yield _assigned(module, each) if isinstance(each, ast.Name) else each


def _assigned(module: Module, name: ast.Name) -> ast.AST:
    """What this name was given in the same function, if that happens once."""
    function = module.function_around(name)
    nodes = own_nodes(function) if isinstance(function, Function) else ()
    values = [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == [name.id]
    ]
    return values[0] if len(values) == 1 else name


def _made_in(source: ast.AST) -> ast.Call | None:
    """The call that a comprehension, or `map`, repeats."""
    match source:
        case ast.ListComp(elt=ast.Call() as made) | ast.GeneratorExp(elt=ast.Call() as made):
            return made
        case ast.SetComp(elt=ast.Call() as made):
            return made
        case ast.Call(func=ast.Name(id="map"), args=[function, *_]):
            return ast.Call(func=function, args=[], keywords=[])
    return None


def _iterated(source: ast.AST) -> ast.expr:
    if isinstance(source, ast.Call):
        return source.args[1] if len(source.args) > 1 else source
    assert isinstance(source, ast.ListComp | ast.SetComp | ast.GeneratorExp)
    return source.generators[0].iter


def _turns_around(module: Module, call: ast.Call) -> Loop | Comprehension | None:
    """The innermost loop whose turns make this task, if they may be many."""
    below: ast.AST = call
    for node in module.around(call):
        if isinstance(node, Scope):
            return None
        if isinstance(node, ast.While):
            return node
        if isinstance(node, ast.For | ast.AsyncFor) and below in node.body:
            return None if _few(module, node.iter) else node
        if isinstance(node, Comprehension):
            return None if _few(module, node.generators[0].iter) else node
        below = node
    return None


def _few(module: Module, iterated: ast.expr) -> bool:
    """Whether this has few elements for sure: written out, a short range, a slice, a batch."""
    match iterated:
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return not any(isinstance(each, ast.Starred) for each in elements)
        case ast.Dict() | ast.Subscript(slice=ast.Slice()):
            return True
        case ast.Call(func=function, args=arguments):
            return _few_called(module, function, arguments)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            # What somebody wrote down as a constant is as long as it was written.
            named = name.isupper() or any(word in name.lower() for word in _BATCH_WORDS)
            return named or (isinstance(iterated, ast.Name) and _assigned_few(module, iterated))
    return False


def _few_called(module: Module, function: ast.expr, arguments: list[ast.expr]) -> bool:
    match function:
        case ast.Name(id="range") if arguments:
            last = arguments[min(1, len(arguments) - 1)]
            # `range(WORKERS)` makes a number that somebody chose; `range(len(items))` does not.
            if isinstance(last, ast.Constant):
                return isinstance(last.value, int) and last.value <= FEW
            return isinstance(last, ast.Name | ast.Attribute)
        case ast.Name(id="enumerate" | "zip" | "sorted" | "reversed" | "list" | "set" | "tuple"):
            return any(_few(module, each) for each in arguments)
        case ast.Attribute(value=ast.expr() as owner, attr="items" | "values" | "keys"):
            return _few(module, owner)
    return False


def _assigned_few(module: Module, name: ast.Name) -> bool:
    value = _assigned(module, name)
    return isinstance(value, ast.expr) and not isinstance(value, ast.Name) and _few(module, value)


def _called_is_bounded(module: Module, made: ast.expr) -> bool:
    """Whether the coroutine that is called waits for a turn itself."""
    if not isinstance(made, ast.Call):
        return False
    name = made.func.attr if isinstance(made.func, ast.Attribute) else getattr(made.func, "id", "")
    function = module.functions.get(name)
    if any(word in name.lower() for word in ("bounded", "limited", "throttled")):
        return True
    return function is not None and any(
        isinstance(node, ast.AsyncWith) and any(_is_bound(module, item.context_expr) for item in node.items)
        for node in own_nodes(function)
    )


def _loop_waits(module: Module, loop: Loop) -> bool:
    """Whether a turn waits for a free place: it takes a semaphore, counts its tasks, or waits for some of them."""
    for statement in loop.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.AsyncWith) and any(_is_bound(module, item.context_expr) for item in node.items):
                return True
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr == "acquire":
                return _is_bound(module, node.func.value)
            if module.name_of(node) in {*_GATHERS, "len"}:
                return True
    return False


def _is_bound(module: Module, node: ast.expr) -> bool:
    made_by = module.name_of(node)
    if made_by in _BOUNDS or made_by.endswith(".endpoint"):
        return True
    text = ast.unparse(node).rpartition(".")[2].lower()
    return any(word in text for word in _BOUND_WORDS)
