"""Commands whose modules are imported when they are run, and not before: all of them together take a second."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperCommand, TyperGroup

_PACKAGE: Final = "workerpool_operator.cli"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is."""

    module: str
    """Within this package."""
    name: str
    """Of its function there, or of the Typer with those below it."""
    summary: str
    """How its help begins: for the list of commands, and for shells."""
    texts: str = ""
    """What stands before `HELP` and `EPILOG` in the names of its texts, where the module has several."""

    def command(self, name: str) -> Any:
        """What click makes of it."""
        module = import_module(f"{_PACKAGE}.{self.module}")
        found, epilog = getattr(module, self.name), getattr(module, f"{self.texts}EPILOG")
        alone = typer.Typer(rich_markup_mode="markdown", callback=lambda: None)
        if isinstance(found, typer.Typer):
            alone.add_typer(found, name=name, epilog=epilog)
        else:
            alone.command(name, help=getattr(module, f"{self.texts}HELP"), epilog=epilog)(found)
        return typer.main.get_group(alone).commands[name]


class LazyGroup(TyperGroup):
    """Commands by where they are. Their list is had without them."""

    places: ClassVar[Mapping[str, Place]] = {}

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """All of them, imported."""
        return {name: place.command(name) for name, place in self.places.items()}

    @commands.setter
    def commands(self, _: object) -> None:
        """What typer has found is nothing: there are only ours."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  of typer
        """Their names."""
        return list(self.places)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  of typer
        """What is told of one in a list; it cannot be run."""
        place = self.places.get(cmd_name)
        return None if place is None else TyperCommand(name=cmd_name, help=place.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The one that is run."""
        name, told, rest = super().resolve_command(ctx, args)
        return name, told if name is None else self.places[name].command(name), rest

    def invoke(self, ctx: Any) -> Any:
        """As typer's; but for `Value error, 'xml' is not one of ...`, of which the first words are pydantic's."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise
