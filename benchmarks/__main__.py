"""`python -m benchmarks`: measure, print the table, exit with 1 if a bar is missed."""

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import cast

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure, Measured
from benchmarks.practice import World

Measure = Callable[[World], Measured]
MISSED = 1


def _of(module: str) -> Measure:
    """The area's `measure`, imported when it is its turn: some libraries take seconds to load."""
    return lambda world: cast("Measured", import_module(f"benchmarks.{module}").measure(world))


# None: nothing is measured yet
AREAS: Mapping[str, Measure | None] = {
    "api": _of("api"),
    "decide": _of("decide"),
    "night": _of("million"),
    "rules": _of("rules"),
    "churn": _of("churn"),
    "learn": _of("learn"),
    "content": _of("content"),
    "send": _of("send"),
    "import": _of("import_lines"),
    "trials": _of("trials"),
    "journey": _of("event_chain"),
    "quality": _of("churn_quality"),
}
# Minutes of its own: how right the predictions are depends on no machine.
ON_REQUEST = frozenset({"quality"})


def main(arguments: Sequence[str], areas: Mapping[str, Measure | None] = AREAS) -> int:
    """Measure what is asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="a list of figures instead of a table")
    parser.add_argument("--only", action="append", choices=areas, metavar="AREA",
                        help=f"one of {', '.join(areas)}; may be repeated; left out "
                             f"otherwise: {', '.join(ON_REQUEST)}")  # fmt: skip
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    chosen = asked.only or [name for name in areas if name not in ON_REQUEST]
    figures, notes = _measured({name: areas[name] for name in chosen})
    notes.append(f"{time.monotonic() - began:.0f} seconds on {_machine()}.")
    if asked.json:
        print(json.dumps([figure.as_dict() for figure in figures], indent=2))
    else:
        _show(figures)
    console = Console(highlight=False, stderr=asked.json)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    return 0 if all(figure.ok for figure in figures) else MISSED


def _measured(areas: Mapping[str, Measure | None]) -> tuple[list[Figure], list[str]]:
    figures: list[Figure] = []
    notes: list[str] = []
    with World() as world:
        for area, measure in areas.items():
            if measure is None:
                notes.append(f"{area}: nothing is measured yet.")
                continue
            print(f"measuring {area} …", file=sys.stderr, flush=True)
            found = measure(world)
            figures.extend(found.figures)
            notes.extend(found.notes)
            gc.collect()  # an area's garbage is not the next one's business
    return figures, notes


def _machine() -> str:
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, {sys.platform}, Python {python}"


def _show(figures: Sequence[Figure]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("area", "figure", "value", "against", "measured", "ratio", "bar", ""):
        right = column in {"value", "measured", "ratio", "bar"}
        table.add_column(column, justify="right" if right else "left", no_wrap=right)
    for each in figures:
        table.add_row(
            each.area,
            each.name,
            f"{shown(each.value)} {each.unit}",
            each.against,
            shown(each.reference),
            shown(each.ratio),
            each.demand,
            "" if not each.demand else "ok" if each.ok else "MISSED",
        )
    # a pipe has no width of its own; a table that is cut off tells nothing
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 170)
    console.print(table)


def shown(value: float) -> str:
    """Three figures that count, no exponent.

    >>> shown(0.35712), shown(21.04), shown(105128.8)
    ('0.357', '21.0', '105,129')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
