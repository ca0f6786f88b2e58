"""Commands that are imported when they run: starting one costs what it needs itself.

All of them together take seconds to import (models, web server, database), for which the check of a
rules file or a page of help would wait in vain.
"""

import ast
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup


class Later(TyperCommand):
    """A command, or a group of commands, by name and place.

    `place` is `module.name` inside this package: a function, or a `typer.Typer`.
    """

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name=name, callback=None)
        self.place = place

    def load(self) -> Any:  # noqa: ANN401 - typer's own class of commands is not public
        """The command itself."""
        module, _, name = self.place.partition(".")
        found = getattr(importlib.import_module(f"cli.{module}"), name)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(self.name)(found)
        return typer.main.get_command(alone)

    def summary(self) -> str:
        """What it says of itself, read from its source without importing it."""
        module, _, name = self.place.partition(".")
        source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                return " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
                (call,) = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
                texts = {word.arg: word.value for word in call.keywords}
                return str(ast.literal_eval(texts["help"]))
        raise LookupError(self.place)


def group(name: str, text: str, commands: Mapping[str, str | typer.Typer]) -> typer.Typer:
    """A group of commands by name: each as a place, or a group again."""
    places = {n: place for n, place in commands.items() if isinstance(place, str)}

    class Group(TyperGroup):
        def __init__(self, **options: Any) -> None:  # noqa: ANN401 - typer's
            super().__init__(**options)
            known = {**self.commands, **{n: Later(n, place) for n, place in places.items()}}
            self.commands = {n: known[n] for n in commands}

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
            called, command, rest = super().resolve_command(ctx, args)
            return called, command.load() if isinstance(command, Later) else command, rest

        def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
            for command in self.commands.values():
                if isinstance(command, Later):
                    command.help = command.summary()
            super().format_help(ctx, formatter)

    found = typer.Typer(
        name=name,
        help=text,
        cls=Group,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    found.callback()(_nothing)
    for inner, each in commands.items():
        if isinstance(each, typer.Typer):
            found.add_typer(each, name=inner)
    return found


def _nothing() -> None: ...
