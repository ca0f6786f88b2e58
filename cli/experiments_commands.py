"""`keepwell experiments` and `keepwell lift`."""

from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.ids import TenantId
from services.judge_experiments import judge_experiments
from services.plan_experiment import ExperimentWish, plan_experiment
from services.report_lift import LiftQuestion, report_lift
from services.report_uplift import report_uplift
from services.show_experiments import show_experiment, show_experiments
from services.start_experiment import start_planned
from services.stop_experiment import stop_by_hand
from services.wiring import Runtime

Name = Annotated[str, typer.Argument(help="Name of the experiment.")]
By = Annotated[str, typer.Option(help="Who does it.")]


def list_experiments_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """List experiments and what people have to know of them."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> Document:
        return await show_experiments(connection)

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
        return
    for each in told["experiments"]:
        ended = f": {each['verdict']} {each['verdict_arm'] or ''}" if each["verdict"] else ""
        console.print(f"{each['name']:<30} {each['state']:<8} {each['action']}{ended}")
    for notice in told["notices"]:
        console.print(f"{notice['at'][:16]}  {notice['subject']}: {notice['verdict']}")
    if not told["experiments"]:
        console.print("no experiments yet; 'keepwell experiments plan' begins one")


def plan_experiment_command(
    name: Name,
    tenant: Tenant,
    action: Annotated[str, typer.Option(help="Whose wording is tried.")],
    by: By,
    arm: Annotated[
        list[str] | None, typer.Option(help="A wording; the first is the control. [default: all]")
    ] = None,
    smallest: Annotated[float, typer.Option(help="Difference in P(goal) that matters.")] = 0.05,
    rate: Annotated[
        float | None, typer.Option(help="P(goal) expected. [default: as learnt]")
    ] = None,
    power: Annotated[float, typer.Option(help="0.8 or 0.9.")] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Plan an experiment: how many messages and weeks it takes to find such a difference."""
    wish = ExperimentWish(name, action, by, tuple(arm or ()), smallest, rate, power=power)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await plan_experiment(connection, tenant_id, wish, now=runtime.clock.now())

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
        return
    console.print(
        f"{told['name']}: {' against '.join(told['arms'])} on {told['action']}, expecting "
        f"{told['rate']:.1%} and looking for {told['smallest']:.1%} more or less"
    )
    console.print(
        f"needs {told['units_per_arm']:,} messages per arm, to be looked at any day "
        f"({told['once_units_per_arm']:,} for a single look at the end)"
    )
    weeks = "no such message has left lately" if told["weeks"] is None else f"{told['weeks']} weeks"
    console.print(f"at {told['messages_a_week']} messages a week: {weeks}")


def show_experiment_command(name: Name, tenant: Tenant, as_json: AsJson = False) -> None:
    """Show an experiment's arms so far, and how much longer it takes."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await show_experiment(connection, tenant_id, name, now=runtime.clock.now())

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
        return
    console.print(f"{told['name']} on {told['action']}: {told['state']}")
    for arm in told["arms_so_far"]:
        share = "" if arm["share"] is None else f"{arm['share']:.1%}"
        lift = _interval(arm["lift"], 100.0, " points") if "lift" in arm else "control"
        console.print(
            f"  {arm['arm']:<16} {arm['reached']:>6,} of {arm['messages']:>6,}  {share:>6}  {lift}"
        )
    console.print(_standing(told))


def _standing(told: dict[str, Any]) -> str:
    if told["verdict"]:
        return f"ended: {told['verdict']} {told['verdict_arm'] or ''} ({told['reason']})"
    standing = told["standing"]
    if standing is None:
        return "not started"
    if standing["verdict"] != "running":
        return f"decided: {standing['verdict']} {standing['arm'] or ''}; stops at the next look"
    if standing["weeks_more"] is None:
        return "not decided; what there is to see so far would take years to decide"
    return f"not decided; about {standing['weeks_more']} weeks more if the difference stays"


def start_experiment_command(name: Name, tenant: Tenant, by: By, as_json: AsJson = False) -> None:
    """Start a planned experiment."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await start_planned(connection, tenant_id, name, by=by)

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
    else:
        console.print(f"{told['name']} runs since {told['started_at']}")


def stop_experiment_command(
    name: Name,
    tenant: Tenant,
    by: By,
    reason: Annotated[str, typer.Option(help="In words.")],
    as_json: AsJson = False,
) -> None:
    """Stop a running experiment for good."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await stop_by_hand(connection, tenant_id, name, by=by, reason=reason)

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
    else:
        console.print(f"{told['name']} stopped")


def judge_experiments_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """Stop what is decided; workers do the same every ten minutes."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> int:
        return await judge_experiments(connection, tenant_id, now=runtime.clock.now())

    stopped = run_for(tenant, use)
    if as_json:
        print_json({"stopped": stopped})
    else:
        console.print(f"{stopped:,} experiments stopped")


def lift_command(
    tenant: Tenant,
    since: Annotated[str | None, typer.Option(help="From when. [default: a year back]")] = None,
    against: Annotated[str, typer.Option(help="holdout, usual or random.")] = "holdout",
    as_json: AsJson = False,
) -> None:
    """Show what the engine is worth: its group against those left alone."""
    with errors_told():
        question = LiftQuestion(moment_of(since), against)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await report_lift(connection, tenant_id, question, now=runtime.clock.now())

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
        return
    sizes = ", ".join(f"{name} {size:,}" for name, size in told["groups"].items()) or "nobody"
    console.print(f"{told['weeks_observed']} weeks; contacts: {sizes}")
    for group, metrics in told["lift"].items():
        console.print(_lift_table(group, told["against"], metrics))


def _lift_table(group: str, against: str, metrics: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{group} less {against}, per contact")
    for column in ("", "control", "lift, whenever one looks", "incremental", "attributed", ""):
        table.add_column(column, justify="right")
    for metric, found in metrics.items():
        money = metric.endswith("_cents")
        scale, name = (0.01, metric.removesuffix("_cents")) if money else (1.0, metric)
        attributed = "" if found["attributed"] is None else f"{found['attributed'] * scale:,.1f}"
        more = found["weeks_more"]
        table.add_row(
            name.replace("_", "-"),
            f"{found['mean'] * scale:,.3f}",
            f"{found['mean_of_control'] * scale:,.3f}",
            _interval(found, scale, ""),
            f"{found['incremental'] * scale:+,.1f}",
            attributed,
            "decided"
            if more == 0
            else "not decidable yet"
            if more is None
            else f"{more} weeks more",
        )
    return table


def _more(weeks: int | None) -> str:
    if weeks is None:
        return "not decidable yet"
    return f"{weeks} weeks more" if weeks else "decided"


def _interval(lift: dict[str, Any], scale: float, unit: str) -> str:
    shown = f"{lift['difference'] * scale:+,.3f}{unit}"
    if lift["low"] is None:
        return f"{shown} (too little to say)"
    return f"{shown} ({lift['low'] * scale:+,.3f} to {lift['high'] * scale:+,.3f})"


def uplift_command(
    tenant: Tenant,
    since: Annotated[str | None, typer.Option(help="From when. [default: a year back]")] = None,
    as_json: AsJson = False,
) -> None:
    """Show whether those are contacted whom it changes: Qini and uplift at k."""
    with errors_told():
        moment = moment_of(since)

    async def use(connection: AsyncConnection, runtime: Runtime, _: TenantId) -> Document:
        return await report_uplift(connection, now=runtime.clock.now(), since=moment)

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
        return
    console.print(f"{told['contacted']:,} contacted, {told['left_alone']:,} left alone by chance")
    found = told["qini"]
    if found is None:
        console.print(f"too few to say; it takes {told['needs_left_alone']} of both")
        return
    console.print(f"Qini coefficient {found['coefficient']:+.4f} ± {1.96 * found['error']:.4f}")
    for each in (*found["at"], found["overall"]):
        if each["uplift"] is not None:
            console.print(
                f"  best {each['share']:>4.0%}  uplift {each['uplift']:+.3f} "
                f"± {1.96 * each['error']:.3f}"
            )
