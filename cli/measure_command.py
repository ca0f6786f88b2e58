"""`keepwell measure`: what the engine is worth in businesses of which the truth is known."""

import math
import os
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.options import AsJson
from cli.output import console, errors_told, print_json, progress
from engine.errors import InvalidInput
from services.measure import LADDER, MAIN, MeasureOrder, measure
from services.measure_report import GOALS, report
from simulate.assumptions import INDUSTRIES, assumptions_of

_WORDS = {
    "open_rate": "open rate",
    "answers": "answers a year",
    "churn": "churn a year",
    "lifetime_usd": "lifetime value, USD",
    "opt_outs": "opt-outs a year",
    "sends": "messages a year",
}


def measure_command(
    industry: Annotated[
        list[str] | None, typer.Option(help="One of the simulated; may be repeated. [default: all]")
    ] = None,
    contacts: Annotated[int, typer.Option(help="People of each business.")] = 800,
    months: Annotated[int, typer.Option(help="Months measured, after two years of history.")] = 12,
    seeds: Annotated[int, typer.Option(help="Businesses of each industry.")] = 20,
    first_seed: Annotated[int, typer.Option(help="Seed of the first.")] = 1,
    ladder: Annotated[bool, typer.Option(help="Also which lever earns what.")] = False,
    processes: Annotated[int | None, typer.Option(help="At once. [default: all cores]")] = None,
    as_json: AsJson = False,
) -> None:
    """Run the engine, a manual calendar, chance, nothing and full knowledge side by side.

    All businesses are simulated (docs/simulation.md); needs no database.
    """
    with errors_told():
        chosen = tuple(industry or INDUSTRIES)
        for each in chosen:
            assumptions_of(each)
        if contacts < 50 or months < 1 or seeds < 1:
            raise InvalidInput(
                f"{contacts} contacts, {months} months and {seeds} seeds can't be measured.",
                hint="At least 50 contacts, one month and one seed.",
            )
        order = MeasureOrder(
            industries=chosen,
            contacts=contacts,
            months=months,
            seeds=tuple(range(first_seed, first_seed + seeds)),
            strategies=(*MAIN, *(LADDER if ladder else ())),
            processes=processes or os.cpu_count() or 1,
        )
        with progress("simulated businesses") as advance:
            told = report(measure(order, advance))
    if as_json:
        print_json({"order": {"contacts": contacts, "months": months, "seeds": seeds}, **told})
    else:
        _show(told, order)


def _show(told: dict[str, Any], order: MeasureOrder) -> None:
    console.print(
        f"Simulated businesses of {order.contacts:,} people, {order.months} months after two years "
        f"of history, {len(order.seeds)} seeds; 95 % intervals over the seeds."
    )
    for name, found in told["industries"].items():
        console.print(f"\n{name.replace('_', ' ')} (health by {', '.join(found['health'])})")
        console.print(_strategies(found["strategies"]))
        console.print(_gains(found["gains"]))
        if found["ladder"]:
            console.print(_ladder(found["ladder"]))
    weakest = ", ".join(
        f"{_WORDS[figure]}: {name.replace('_', ' ')}" for figure, name in told["weakest"].items()
    )
    console.print(f"\nfurthest from what is aimed at, {weakest}")


def _strategies(strategies: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for figure in GOALS:
        table.add_column(_WORDS[figure], justify="right")
    for name, figures in strategies.items():
        if name in LADDER:
            continue
        table.add_row(name, *(_interval(figures[figure]) for figure in GOALS))
    return table


def _interval(mean: dict[str, float]) -> str:
    digits = 0 if abs(mean["mean"]) >= 100 else 2 if abs(mean["mean"]) >= 1 else 3
    half = (mean["high"] - mean["low"]) / 2
    known = "" if math.isnan(half) else f" ± {half:,.{digits}f}"  # one seed has no interval
    return f"{mean['mean']:,.{digits}f}{known}"


def _gains(gains: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("engine against calendar", "gain", "95 %", "aim", "", "of full knowledge"):
        table.add_column(column, justify="left" if not column or "engine" in column else "right")
    for figure, gain in gains.items():
        aim = gain["aim"]
        word = "reached, surely" if gain["sure"] else "reached" if gain["reached"] else "missed"
        share = "" if gain["of_oracle"] is None else f"{gain['of_oracle']:.0%}"
        table.add_row(
            _WORDS[figure],
            f"{gain['ratio']:+.0%}",
            "" if math.isnan(gain["low"]) else f"{gain['low']:+.0%} to {gain['high']:+.0%}",
            f"{aim:+.0%}" if aim else "not higher",
            word,
            share,
        )
    return table


def _ladder(steps: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("lever after lever, against the calendar", no_wrap=True)
    for figure in GOALS:
        table.add_column(_WORDS[figure], justify="right")
    for step in steps:
        cells = (
            f"{step['against_calendar'][figure]['ratio']:+.0%} ({step['adds'][figure]:+.0%})"
            for figure in GOALS
        )
        table.add_row(step["lever"], *cells)
    return table
