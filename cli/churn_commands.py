"""`keepwell churn report | drift | pool | definition …`."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.models_commands import By
from cli.options import AsJson, AsOf, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.errors import InvalidInput
from engine.ids import TenantId
from services.churn_definition import set_definition, show_definition
from services.churn_report import churn_report
from services.pool_churn import set_pooling, show_pooling
from services.watch_drift import monthly_drift, watch_drift
from services.wiring import Runtime


def report_command(
    tenant: Tenant,
    out: Annotated[
        Path | None, typer.Option(help="File to write. [default: churn-report-TENANT.html]")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Write a page that shows predicted against observed: by tenth, segment and month."""
    with errors_told():
        moment = moment_of(as_of)

    async def use(
        connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
    ) -> tuple[str, Document]:
        return await churn_report(connection, runtime, tenant_id, as_of=moment)

    page, figures = run_for(tenant, use)
    file = out or Path(f"churn-report-{tenant}.html")
    with errors_told():
        try:
            file.write_text(page, encoding="utf-8")
        except OSError as error:
            raise InvalidInput(f"{file} can't be written: {error.strerror}.") from error
    if as_json:
        print_json({"file": str(file), **figures})
        return
    console.print(f"{file} written, by {figures['scorer']}", markup=False)
    for days, told in figures["horizons"].items():
        auc = "-" if told["auc"] is None else f"{told['auc']:.3f}"
        console.print(
            f"  {days:>3} days: {told['n']:,} contacts, AUC {auc}, "
            f"log loss {told['log_loss']:.3f}, ECE {told['ece']:.3f}, "
            f"accuracy {told['accuracy']:.1%} (always the same: {told['majority_accuracy']:.1%})"
        )


def drift_command(
    tenant: Tenant,
    months: Annotated[
        bool, typer.Option("--months", help="Show the report of each month; look at nothing new.")
    ] = False,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Look whether inputs, risk and outcomes have moved away from what the model learnt."""
    with errors_told():
        moment = moment_of(as_of)

    async def use(
        connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId
    ) -> list[Document]:
        if months:
            return await monthly_drift(connection)
        return [await watch_drift(connection, runtime, tenant_id, as_of=moment)]

    found = run_for(tenant, use)
    if as_json:
        print_json({"reports": found})
    else:
        for report in found:
            _show(report)
    if not months and found[0]["alerts"]:
        raise typer.Exit(1)


def _show(report: Document) -> None:
    console.print(f"as of {report['as_of'][:16]}: {report['note']}", markup=False)
    for each in report.get("inputs", [])[:5]:
        told = "too few rows" if each["psi"] is None else f"PSI {each['psi']:.3f}"
        console.print(f"  {each['name']:<32} {told}")
    for each in report.get("calibration", []):
        sign = "" if each["agrees"] else "  <- outside"
        console.print(
            f"  {each['month']} {each['horizon_days']:>3} days: predicted {each['expected']:.1%}, "
            f"observed {each['observed']:.1%}{sign}"
        )
    for alert in report["alerts"]:
        console.print(f"  alert: {alert}", markup=False)


def pool_command(
    tenant: Tenant,
    switch: Annotated[
        bool | None,
        typer.Option("--on/--off", help="Lend and borrow from now on, or no more. [default: show]"),
    ] = None,
    by: Annotated[str, typer.Option(help="Who switches; stands in the audit trail.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show or switch whether models of small businesses are begun on what others have seen."""
    with errors_told():
        if switch is not None and not by:
            raise InvalidInput("Who switches is not said.", hint="Add --by NAME.")

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        if switch is None:
            return (await show_pooling(connection, runtime, tenant_id)).as_dict()
        told = await set_pooling(connection, runtime, tenant_id, on=switch, by=by)
        return told.as_dict()

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    console.print(
        f"pooling is {'on' if found['on'] else 'off'}; {found['others']} other businesses of "
        f"{found['industry'] or 'no industry'} lend, "
        f"{'enough' if found['enough'] else 'too few'} for a model begun on them",
        markup=False,
    )


def show_definition_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """Show when a contact counts as gone, and which of the values are the tenant's own."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await show_definition(connection, tenant_id, runtime.clock.now())

    _tell(run_for(tenant, use), as_json)


def set_definition_command(
    pairs: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="Values to set, by their names.")
    ],
    tenant: Tenant,
    by: By,
    as_json: AsJson = False,
) -> None:
    """Set values such as interval_factor=2.5 or judged_by=contract; for the next training."""
    with errors_told():
        changes: dict[str, str] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals:
                raise InvalidInput(f"'{pair}' is not NAME=VALUE.")
            changes[name.strip()] = value.strip()

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await set_definition(connection, tenant_id, changes, by=by, at=runtime.clock.now())

    _tell(run_for(tenant, use), as_json)


def _tell(found: Document, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name in {"own", "tenant_id"}:
            continue
        own = "  (own)" if name in found["own"] else ""
        shown = ", ".join(value) if isinstance(value, list | tuple) else value
        console.print(f"  {name:<24} {shown}{own}", markup=False)
