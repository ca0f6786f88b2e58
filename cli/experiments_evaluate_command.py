"""`keepwell experiments evaluate`: a policy's worth from logged decisions, before it goes live."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.state import POLICIES
from cli.options import AsJson, Document, Tenant, run_for
from cli.output import FINDINGS, console, print_json
from engine.ids import TenantId
from services.evaluate_policy import evaluate_policy
from services.wiring import Runtime

Factor = Annotated[str, typer.Option(help="Which choice the policy makes: channel or slot.")]
Policy = Annotated[
    str,
    typer.Option(help=f"uniform, fixed:<arm>, {', '.join(POLICIES)}."),
]
Settled = Annotated[int, typer.Option(min=0, help="Leave out decisions sent later than this.")]


def evaluate_command(
    tenant: Tenant,
    policy: Policy = "hierarchical",
    factor: Factor = "channel",
    settled_days: Settled = 30,
    as_json: AsJson = False,
) -> None:
    """Say what a policy would have earned on the tenant's decisions; exit 1 if the log can't."""

    async def use(connection: AsyncConnection, _: Runtime, __: TenantId) -> Document:
        return await evaluate_policy(
            connection, factor=factor, policy=policy, settled_days=settled_days
        )

    found = run_for(tenant, use)
    if as_json:
        print_json(found)
    else:
        for line in told(found):
            console.print(line, markup=False)
    if found["verdict"] == "cannot_answer":
        raise typer.Exit(FINDINGS)


def told(found: Document) -> list[str]:
    """Return the verdict as lines for people."""
    if found["verdict"] == "cannot_answer":
        lines = ["The log cannot answer this."]
    else:
        minus = found["dr_minus_logged"]
        lines = [
            f"{found['policy']} for the {found['factor']} would have earned "
            f"{_estimate(found['dr'])} a decision; what was done earned "
            f"{_estimate(found['logged'])}.",
            f"Difference {minus['value']:+.4f} ({minus['low']:+.4f} to {minus['high']:+.4f}).",
        ]
    lines += [f"  {reason}" for reason in found["reasons"]]
    lines.append(
        f"{found['decisions']:,} decisions of {found['contacts']:,} contacts, worth "
        f"{found['effective_sample']:,.0f} of the policy's own; weights average "
        f"{found['mean_weight']:.3f} ± {found['mean_weight_error']:.3f}, the largest "
        f"{found['largest_weight']:.1f}."
    )
    if found["verdict"] != "cannot_answer":
        others = ", ".join(
            f"{name} {_estimate(found[name])}" for name in ("snips", "ips", "switch")
        )
        lines.append(f"By other estimators: {others}.")
    lines += [
        f"  {arm}: {share['logged']:.1%} logged, {share['policy']:.1%} by the policy"
        for arm, share in found["arms"].items()
    ]
    return lines


def _estimate(estimate: Document) -> str:
    return f"{estimate['value']:.4f} ({estimate['low']:.4f} to {estimate['high']:.4f})"
