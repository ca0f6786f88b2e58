"""Starting a command imports what it needs, and help says what the commands say of themselves."""

import subprocess
import sys
from collections.abc import Iterator

import typer
import typer.main

from cli.later import Later
from cli.main import app

HEAVY = ("lightgbm", "sklearn", "openai", "scipy", "fastapi", "sqlalchemy", "arq", "mabwiser")
CONTEXT = (
    "import sys; found = sorted({m.partition('.')[0] for m in sys.modules} & set(sys.argv[1:]))"
)


def imported(statement: str, *names: str) -> str:
    """Which of these libraries a fresh process has imported after a statement."""
    return subprocess.run(
        [sys.executable, "-c", f"{statement}; {CONTEXT}; print(*found)", *names],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


def later(group: object) -> Iterator[Later]:
    for command in group.commands.values():  # type: ignore[attr-defined] # typer's own class
        if isinstance(command, Later):
            yield command
        else:
            yield from later(command)


def test_the_list_of_commands_imports_none_of_them() -> None:
    assert imported("import cli.main", *HEAVY, "polars", "numpy", "services") == ""


def test_checking_and_testing_files_needs_no_database_model_or_server() -> None:
    assert imported("import cli.rules_commands", *HEAVY, "polars") == ""
    assert imported("import cli.rules_analysis_commands", *HEAVY) == ""
    assert imported("import cli.rules_authoring_commands, cli.rules_new_command", *HEAVY) == ""


def test_help_says_of_every_command_what_the_command_says_of_itself() -> None:
    commands = list(later(typer.main.get_command(app)))
    assert len(commands) > 70
    for command in commands:
        said = command.load().help
        assert said is not None, command.place
        assert command.summary() == " ".join(said.split("\n\n")[0].split()), command.place
