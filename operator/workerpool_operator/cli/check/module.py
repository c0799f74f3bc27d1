"""What one file says about its names: which module they come from, what they were made by, where they stand."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Scope: TypeAlias = Function | ast.Lambda
Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While
Comprehension: TypeAlias = ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp


@dataclass(slots=True)
class Module:
    """A parsed file.

    Names are followed within the file only: `import asyncio as aio`, `client = httpx.Client()`, `def f(client:
    httpx.Client)`, `self.lock = asyncio.Lock()`, `with requests.Session() as session`. A name that is made in two ways
    counts as unknown.
    """

    file: str
    tree: ast.Module
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    """By name; a name that is defined twice is left out."""
    _imports: dict[str, str] = field(default_factory=dict)
    _made_by: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str, *, file: str) -> "Module":
        """Read a file.

        Raises:
            SyntaxError: it is not Python, or of a later version.
        """
        module = cls(file, ast.parse(text, filename=file))
        for node in ast.walk(module.tree):
            for child in ast.iter_child_nodes(node):
                module.parents[child] = node
        module._read_imports()
        module._read_functions()
        module._read_makers()
        return module

    def calls(self) -> Iterator[ast.Call]:
        """All calls."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def name_of(self, node: ast.AST) -> str:
        """The dotted name of what this is or was made by, such as `requests.Session.get`; empty: unknown."""
        match node:
            case ast.Name(id=name):
                return "" if self._is_given(node, name) else self._known(name)
            case ast.Attribute(value=value, attr=attribute):
                made_by = self._made_by.get(ast.unparse(node))
                if made_by:
                    return made_by
                owner = self.name_of(value)
                return f"{owner}.{attribute}" if owner else ""
            case ast.Call(func=function):
                return self.name_of(function)
            case ast.Await(value=value):
                return self.name_of(value)
        return ""

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """What this stands in, from the inside out, up to the function it runs in, that one included."""
        while node in self.parents:
            below, node = node, self.parents[node]
            if isinstance(node, Scope) and _belongs_outside(node, below):
                continue
            yield node
            if isinstance(node, Scope):
                return

    def function_around(self, node: ast.AST) -> Scope | None:
        """The function that this runs in; None: the module itself."""
        return next((each for each in self.around(node) if isinstance(each, Scope)), None)

    def in_event_loop(self, node: ast.AST) -> bool:
        """Whether this runs in a coroutine of the worker's event loop; see `lane_of`."""
        function = self.function_around(node)
        return isinstance(function, ast.AsyncFunctionDef) and self.lane_of(function) in {"", "io"}

    def lane_of(self, function: Function) -> str:
        """The `kind` that `@worker.job` gives this handler; a coroutine in another lane has a loop of its own."""
        for decorator in function.decorator_list:
            kind = keyword(decorator, "kind") if isinstance(decorator, ast.Call) else None
            if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
                return kind.value
        return ""

    def _known(self, name: str) -> str:
        found = self._imports.get(name) or self._made_by.get(name)
        return found or (name if hasattr(builtins, name) and name not in self.functions else "")

    def _is_given(self, node: ast.AST, name: str) -> bool:
        """Whether this is an argument that nothing is known of, whatever else has its name."""
        for scope in self._scopes(node):
            every = (*scope.args.posonlyargs, *scope.args.args, *scope.args.kwonlyargs)
            for each in every:
                if each.arg == name:
                    return each.annotation is None
        return False

    def _scopes(self, node: ast.AST) -> Iterator[Scope]:
        scope = self.function_around(node)
        while scope is not None:
            yield scope
            scope = self.function_around(scope)

    def _read_imports(self) -> None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    # `import a.b` binds a.
                    self._imports[each.asname or each.name.partition(".")[0]] = (
                        each.name if each.asname else each.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for each in node.names:
                    self._imports[each.asname or each.name] = f"{node.module}.{each.name}"

    def _read_functions(self) -> None:
        twice = set()
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                if node.name in self.functions:
                    twice.add(node.name)
                self.functions[node.name] = node
        for name in twice:
            del self.functions[name]

    def _read_makers(self) -> None:
        made: dict[str, set[str]] = {}
        for target, value in self._bindings():
            made.setdefault(ast.unparse(target), set()).add(self.name_of(value))
        self._made_by = {name: by.pop() for name, by in made.items() if len(by) == 1 and "" not in by}

    def _bindings(self) -> Iterator[tuple[ast.AST, ast.AST]]:
        for node in ast.walk(self.tree):
            match node:
                case ast.Assign(targets=targets, value=value):
                    yield from ((target, _maker(value)) for target in targets)
                case ast.AnnAssign(target=target, annotation=annotation, value=value):
                    yield target, _maker(value) if value else annotation
                case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                    yield target, _maker(value)
                case ast.arg(arg=name, annotation=ast.expr() as annotation):
                    yield ast.Name(name), annotation


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The argument of this name."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def has_keyword(call: ast.Call, *names: str) -> bool:
    """Whether one of these arguments is given; `**anything` may hold it."""
    return any(each.arg is None or each.arg in names for each in call.keywords)


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """What runs in this function, without the functions within it."""
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        yield node
        if not isinstance(node, Scope):
            left.extend(ast.iter_child_nodes(node))


def _maker(value: ast.AST) -> ast.AST:
    """What is called, for only a call makes something: `client = other` tells nothing that is worth following."""
    if isinstance(value, ast.Await):
        value = value.value
    return value.func if isinstance(value, ast.Call) else ast.Constant(None)


def _belongs_outside(scope: Scope, child: ast.AST) -> bool:
    """Whether this part of a function runs where the function is defined: decorators, defaults, annotations."""
    return child not in scope.body if isinstance(scope, Function) else child is scope.args
