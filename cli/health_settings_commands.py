"""`keepwell health weights …` and `keepwell health levels …`."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.models_commands import By, Reason
from cli.options import AsJson, AsOf, Document, Tenant, moment_of, run_for
from cli.output import console, errors_told, print_json
from engine.errors import InvalidInput
from engine.ids import TenantId
from services.set_health import (
    Author,
    fit_health_levels,
    fit_health_weights,
    set_levels,
    set_weights,
    show_health_settings,
)
from services.wiring import Runtime

Pairs = Annotated[list[str], typer.Argument(help="NAME=VALUE, several if wanted.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be; change nothing.")]


def pairs_of(texts: list[str]) -> dict[str, float]:
    """Return name -> number of arguments like engagement=0.5.

    Raises:
        InvalidInput: one is none.
    """
    found = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError as error:
            raise InvalidInput(f"'{text}' is not NAME=NUMBER.") from error
    return found


def show_settings_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """Show the weights of the parts, the bounds of the levels, and who set them when."""

    async def use(connection: AsyncConnection, runtime: Runtime, _id: TenantId) -> Document:
        return await show_health_settings(connection, runtime.clock.now())

    _show(run_for(tenant, use), as_json)


def set_weights_command(
    pairs: Pairs, tenant: Tenant, by: By, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Set weights of parts; the others share the rest as before. They hold from the next score."""
    with errors_told():
        changes = pairs_of(pairs)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await set_weights(
            connection, tenant_id, changes, Author(by, reason), at=runtime.clock.now()
        )

    _show(run_for(tenant, use), as_json)


def set_levels_command(
    pairs: Pairs, tenant: Tenant, by: By, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Set medium_from, high_from, critical_above or margin: probabilities within 90 days."""
    with errors_told():
        changes = pairs_of(pairs)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await set_levels(
            connection, tenant_id, changes, Author(by, reason), at=runtime.clock.now()
        )

    _show(run_for(tenant, use), as_json)


def fit_weights_command(
    tenant: Tenant,
    by: By = "keepwell health weights fit",
    as_of: AsOf = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Fit the weights to who left; they take effect where they rank unseen departures better."""
    with errors_told():
        moment = moment_of(as_of)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await fit_health_weights(
            connection, runtime, tenant_id, Author(by), as_of=moment, apply=not dry_run
        )

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    console.print(
        f"fitted on {found['rows']:,} windows with {found['churned']:,} departures, judged on "
        f"{found['judged_rows']:,} with {found['judged_churned']:,}"
    )
    for part, weight in found["weights"].items():
        known = found["known_share"][part]
        console.print(
            f"  {part:<30} {weight:.2f}  (was {found['before'][part]:.2f}; known of {known:.0%})"
        )
    console.print(
        f"who left had the lower score in {_share(found['auc_then'])} of pairs, by the weights "
        f"before in {_share(found['auc_before'])}"
    )
    console.print("in force now" if found["applied"] else "not in force: nothing was changed")


def fit_levels_command(
    tenant: Tenant,
    precision: Annotated[float | None, typer.Option(help="Share of alerts to be right.")] = None,
    recall: Annotated[float | None, typer.Option(help="Share of departures to find.")] = None,
    by: By = "keepwell health levels fit",
    as_of: AsOf = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Choose where 'high' begins for a stated precision or recall, on windows that have closed."""
    with errors_told():
        moment = moment_of(as_of)

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await fit_health_levels(
            connection, runtime, tenant_id, Author(by),
            precision=precision, recall=recall, as_of=moment, apply=not dry_run,
        )  # fmt: skip

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
        return
    console.print(
        f"high from {found['high_from']:.3f}: on {found['n']:,} closed windows {found['alerts']:,} "
        f"alerts, right in {found['precision']:.0%}, finding {found['recall']:.0%} of "
        f"{found['churned']:,} departures"
    )
    console.print(
        f"medium from {found['medium_from']:.3f}, critical above {found['critical_above']:.3f}"
    )
    console.print("in force now" if found["applied"] else "not in force: nothing was changed")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _show(found: Document, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    console.print(f"version {found['version']}")
    for part, weight in found["weights"].items():
        console.print(f"  weight of {part:<30} {weight:.2f}")
    console.print(
        f"  medium from {found['medium_from']:.3f}, high from {found['high_from']:.3f}, critical "
        f"above {found['critical_above']:.3f}, margin {found['margin']:.3f} "
        f"({found['chosen_for']})"
    )
    for each in found["history"]:
        why = f": {each['reason']}" if each["reason"] else ""
        console.print(
            f"  {each['version']:>3}  {each['made_at'][:16]}  {each['made_by']}{why}", markup=False
        )
