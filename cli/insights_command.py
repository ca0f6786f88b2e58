"""`keepwell insights`: when and how a contact is reached best."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli.options import AsJson, Document, Tenant, run_for
from cli.output import console, print_json
from engine.ids import TenantId
from services.keep_insights import keep_insights
from services.show_insights import show_insights
from services.wiring import Runtime


def insights_command(
    tenant: Tenant,
    contact: Annotated[
        str | None, typer.Argument(help="Our id or external:<id>; without one all are worked out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show when and how a contact is reached best; without a contact, work it out for all now."""

    async def use(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Document:
        if contact is None:
            return await keep_insights(connection, tenant_id, as_of=runtime.clock.now())
        return await show_insights(connection, contact)

    told = run_for(tenant, use)
    if as_json:
        print_json(told)
    elif contact is None:
        console.print(
            f"{told['contacts']:,} contacts, {told['with_messages']:,} of them from answers of "
            f"their own ({told['messages']:,} messages)"
        )
    else:
        _show(told)


def _show(told: Document) -> None:
    latest = told["latest"]
    if latest is None:
        console.print("nothing yet: worked out at night, or now by 'keepwell insights --tenant …'")
        return
    detail = latest["detail"]
    console.print(
        f"best reached on {latest['optimal_contact_day']} at "
        f"{latest['optimal_contact_time'][:5]} by {latest['preferred_communication_channel']}; "
        f"next on {latest['next_contact_recommendation'][:16]}"
    )
    for channel, share in latest["response_probability_by_channel"].items():
        console.print(f"  answers {share:.1%} by {channel}")
    console.print(
        f"tone {latest['recommended_message_tone']}, content {latest['recommended_content_type']}"
    )
    console.print(
        f"{detail['messages']} messages of their own: {detail['of_their_own']:.0%} theirs, the "
        "rest is what holds for everybody"
    )
    if latest["prediction_accuracy_score"] is not None:
        console.print(
            f"accuracy of the last predictions {latest['prediction_accuracy_score']:.2f} "
            f"(by the common share alone {detail['accuracy_of_the_common_share']:.2f})"
        )
