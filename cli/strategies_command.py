"""`keepwell strategies`: what each retention strategy of a simulated business does."""

from typing import Annotated, Any

import typer

from cli.options import AsJson
from cli.output import console, errors_told, print_json, progress
from engine.errors import InvalidInput
from services.measure_strategies import StrategyOrder, measure_strategies
from simulate.assumptions import INDUSTRIES, assumptions_of


def strategies_command(
    industry: Annotated[
        list[str] | None, typer.Option(help="One of the simulated; may be repeated. [default: all]")
    ] = None,
    contacts: Annotated[int, typer.Option(help="People of each business.")] = 800,
    months: Annotated[int, typer.Option(help="Months lived, after two years of history.")] = 6,
    seed: Annotated[int, typer.Option(help="Other people, other luck.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Live through a simulated business with the engine and without; compare rule by rule.

    All businesses are simulated (docs/simulation.md); needs no database.
    """
    with errors_told():
        chosen = industry or list(INDUSTRIES)
        for each in chosen:
            assumptions_of(each)
        if contacts < 50 or months < 1:
            raise InvalidInput("At least 50 contacts and one month.")
        told = []
        for each in chosen:
            order = StrategyOrder(each, contacts, months, seed)
            with progress(each) as advance:
                told.append(measure_strategies(order, advance))
    if as_json:
        print_json(told)
        return
    for found in told:
        _show(found)


def _show(told: dict[str, Any]) -> None:
    console.print(
        f"\n{told['industry']}: {told['contacts']} simulated people, {told['days']} days, seed "
        f"{told['seed']}, health by {told['health']}"
    )
    console.print("  messages  answered   reached  if alone  effect (95 %)")
    for each in told["strategies"]:
        if each["messages"]:
            console.print(
                f"{each['messages']:>10,}{each['answered']:>10,}{_share(each['reached']):>10}"
                f"{_share(each['if_left_alone']):>10}  {_effect(each):<22}{each['rule']}\n"
                f"{'':>44}{', '.join(each['trigger'])} -> {each['goal']}",
                markup=False,
                soft_wrap=True,
            )
    silent = [each["rule"] for each in told["strategies"] if not each["messages"]]
    if silent:
        console.print(f"sent nothing: {', '.join(silent)}")
    ours, alone = told["with_engine"], told["left_alone"]
    console.print(
        f"churn a year {ours['churn']:.1%} with the engine, {alone['churn']:.1%} left alone; "
        f"lifetime value {ours['lifetime_usd']:,.0f} and {alone['lifetime_usd']:,.0f} USD; "
        f"opt-outs a year {ours['opt_outs']:.3f}"
    )


def _share(value: float | None) -> str:
    return "too few" if value is None else f"{value:.0%}"


def _effect(each: dict[str, Any]) -> str:
    if each["effect"] is None:
        return ""
    return f"{each['effect']:+.0%} ({each['low']:+.0%} to {each['high']:+.0%})"
