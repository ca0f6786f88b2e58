"""How commands speak: rich on a terminal, plain lines otherwise, JSON on demand.

Exit codes: 0 fine, 1 findings, 2 usage, 3 unavailable.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine.errors import InvalidFile, InvalidInput, KeepwellError, NotFound, Unavailable

if TYPE_CHECKING:
    from services.settings import Settings
    from services.wiring import Runtime

T = TypeVar("T")

FINDINGS, USAGE, UNAVAILABLE = 1, 2, 3

console = Console(highlight=False, soft_wrap=True)
complaints = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """Write one JSON document to standard output."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    sys.stdout.write(orjson.dumps(value, option=options, default=_plain).decode() + "\n")


def print_json_line(value: object) -> None:
    """Write one JSON document on one line: for long lists (NDJSON)."""
    sys.stdout.write(orjson.dumps(value, default=_plain).decode() + "\n")


def _plain(value: object) -> object:
    """A named tuple by its names (it would pass as a list), anything else as text."""
    named = getattr(value, "_asdict", None)
    return str(value) if named is None else named()


@contextmanager
def errors_told() -> Iterator[None]:
    """Turn the product's errors into a message on standard error and an exit code."""
    try:
        yield
    except Unavailable as error:
        _complain(error)
        raise typer.Exit(UNAVAILABLE) from None
    except InvalidFile as error:
        complaints.print(f"[red]error[/red] {error.message}")
        for finding in error.findings:
            place = f"{finding.file}:{finding.line}:{finding.column}"
            complaints.print(f"{place}: {finding.severity} {finding.code}: {finding.message}")
            if finding.hint:
                complaints.print(f"    try: {finding.hint}")
        raise typer.Exit(FINDINGS) from None
    except (InvalidInput, NotFound) as error:
        _complain(error)
        raise typer.Exit(USAGE) from None
    except KeepwellError as error:
        _complain(error)
        raise typer.Exit(FINDINGS) from None


def _complain(error: KeepwellError) -> None:
    complaints.print(f"[red]error[/red] {error.code}: {error.message}", markup=True)
    if error.hint:
        complaints.print(f"    {error.hint}", markup=False)


def run(
    use: "Callable[[Runtime], Awaitable[T]]",
    settings: "Settings | None" = None,
    *,
    lasting: bool = False,
) -> T:
    """Open the runtime, run one coroutine on it, close everything; errors become exit codes.

    `lasting`: the command is a service, and runs until somebody ends it.
    """
    from services.wiring import open_runtime

    with errors_told(), open_runtime(settings, lasting=lasting) as runtime:
        return asyncio.run(_closing(use, runtime))


async def _closing(use: "Callable[[Runtime], Awaitable[T]]", runtime: "Runtime") -> T:
    try:
        return await use(runtime)
    finally:
        await runtime.database.close()


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show progress on a terminal; elsewhere a plain line at the start and at the end.

    Yields a function `advance(done, total)`, total None while unknown.
    """
    if not complaints.is_terminal:
        complaints.print(f"{label} ...")
        last: list[Any] = [0]

        def remember(done: int, total: int | None) -> None:
            last[:] = [done, total]

        yield remember
        complaints.print(f"{label}: {last[0]:,} done" if last[0] else f"{label}: done")
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=complaints) as bar:
        task = bar.add_task(label, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        yield show
