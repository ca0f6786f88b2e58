"""`keepwell doctor`: is everything there, and as it must be?"""

from typing import Annotated

import typer
from rich.table import Table

from cli.output import FINDINGS, UNAVAILABLE, console, print_json, run
from services.check_health import Check, check_health

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "unreachable": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON document.")] = False,
) -> None:
    """Check versions, servers, migrations, row-level security, the database role and the clock.

    Exit codes: 0 all fine, 1 something must be mended, 3 PostgreSQL does not answer.
    """
    checks = run(check_health)
    code = exit_code(checks)
    if as_json:
        print_json({"status": "ok" if code == 0 else "findings", "checks": checks})
    else:
        table = Table("check", "state", "found", "what to do")
        for check in checks:
            colour = _COLOURS[check.state]
            table.add_row(
                check.name, f"[{colour}]{check.state}[/{colour}]", check.detail, check.hint
            )
        console.print(table)
    if code:
        raise typer.Exit(code)


def exit_code(checks: list[Check]) -> int:
    """Return 0, FINDINGS or UNAVAILABLE; a warning is no finding."""
    states = {check.name: check.state for check in checks}
    if states.get("postgresql") == "unreachable":
        return UNAVAILABLE
    return FINDINGS if {"failed", "unreachable"} & set(states.values()) else 0
