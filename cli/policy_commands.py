"""`keepwell policy`: show, change and list the versions of a tenant's policy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import console, errors_told, print_json
from engine.errors import InvalidInput
from engine.ids import TenantId
from rules.policy_data import TENANT_MAY_SET, policy_values
from rules.source import read_text
from services.draw_groups import draw_groups, show_groups
from services.refuse_machines import refuse_machines
from services.set_policy import PolicyChange, set_policy
from services.show_policy import show_policy, show_policy_versions
from services.wiring import Runtime

By = Annotated[str, typer.Option(help="Who does it; stands in the audit trail.")]
Why = Annotated[str, typer.Option("--reason", help="In words, for the list of versions.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, change nothing.")]


def policy_show_command(tenant: Tenant, as_json: AsJson = False) -> None:
    """Show the numbers in force, what the tenant has set of them, and what is left of budgets."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        return await show_policy(connection, tenant_id, runtime.clock.now())

    shown = run_for(tenant, use)
    if as_json:
        print_json(shown)
        return
    console.print(
        f"version {shown['version']}, set by {shown['set_by']} at {shown['effective_at']}"
    )
    table = Table("setting", "value", "whose")
    for name, value in shown["numbers"].items():
        table.add_row(name, _told(value), "tenant" if name in shown["changed"] else "product")
    console.print(table)
    for budget in shown["budgets"]:
        console.print(
            f"budget {budget['name']} from {budget['period_start']}: "
            f"{budget['left_cents'] / 100:,.2f} of {budget['limit_cents'] / 100:,.2f} left"
        )
    cost = shown["levers_cost"]
    console.print(
        f"levers: {cost['decisions']} decisions changed in {cost['days']} days, "
        f"{cost['cents'] / 100:,.2f} given up"
    )


def policy_set_command(
    tenant: Tenant,
    by: By,
    sections: Annotated[
        list[str] | None,
        typer.Argument(help="""Section and value, e.g. 'rollout={"*": 0.2}', in YAML."""),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="A YAML file with sections.", show_default=False)
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(help="Section that goes back to what the product ships.")
    ] = None,
    reason: Why = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Change sections of the policy; the next decision goes by them."""
    with errors_told():
        values: dict[str, Any] = {}
        if file is not None:
            values |= policy_values(read_text(file), file.name)
        values |= sections_of(sections or ())
        values |= dict.fromkeys(unset or ())
        change = PolicyChange(values, by, reason, dry_run=dry_run)

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await set_policy(connection, tenant_id, change)

    made = run_for(tenant, use)
    if as_json:
        print_json(made)
        return
    told = ", ".join(made["changed"]) or "nothing"
    console.print(f"version {made['version']}: {told} {'would change' if dry_run else 'changed'}")


def sections_of(told: Sequence[str]) -> dict[str, Any]:
    """Return sections by name from texts like 'rollout={"*": 0.2}'.

    Raises:
        InvalidInput: one has no value.
        InvalidRules: a value is no YAML.
    """
    values: dict[str, Any] = {}
    for given in told:
        name, mark, value = given.partition("=")
        if not mark:
            raise InvalidInput(
                f"'{given}' has no value.", hint=f"section=value; {', '.join(TENANT_MAY_SET)}"
            )
        values |= policy_values(f"{name}: {value}\n", name)
    return values


def policy_versions_command(
    tenant: Tenant,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the versions of the policy, newest first."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> list[dict[str, Any]]:
        return await show_policy_versions(connection, limit=limit)

    listed = run_for(tenant, use)
    if as_json:
        print_json(listed)
        return
    table = Table("version", "since", "by", "tenant's own", "reason")
    for each in listed:
        own = ", ".join(each["changed"])
        table.add_row(
            str(each["version"]), each["effective_at"], each["set_by"], own, each["reason"]
        )
    console.print(table)


def policy_machines_command(
    contact: Annotated[str, typer.Argument(help="Our id, or external:<id>.")],
    tenant: Tenant,
    by: By,
    refused: Annotated[
        bool, typer.Option("--refused/--allowed", help="Plain rules and templates only, or all.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Note that a contact refuses decisions by machines that learn, or allows them again."""

    async def use(connection: AsyncConnection, _: Runtime, tenant_id: TenantId) -> Document:
        return await refuse_machines(
            connection, tenant_id, contact, refused=refused, by=by, source="command line"
        )

    made = run_for(tenant, use)
    if as_json:
        print_json(made)
        return
    told = "plain rules and templates only" if made["refused"] else "decided about like others"
    console.print(f"{made['contact_id']}: {told}")


def policy_groups_command(
    tenant: Tenant,
    draw: Annotated[
        bool, typer.Option("--draw", help="Draw those who have no number yet, as every night.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Count the members of the experiment's groups by stratum."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        if draw:
            await draw_groups(connection, tenant_id)
        return await show_groups(connection, runtime, tenant_id)

    shown = run_for(tenant, use)
    if as_json:
        print_json(shown)
        return
    shares = ", ".join(f"{name} {share:.1%}" for name, share in shown["shares"].items())
    console.print(shares)
    table = Table("stratum", "contacts", "holdout", "usual", "random")
    for each in shown["strata"]:
        table.add_row(*(str(each[name]) for name in ("stratum", "contacts", *shown["shares"])))
    console.print(table)


def _told(value: object) -> str:
    text = str(value)
    return text if len(text) <= 160 else f"{text[:157]}…"
