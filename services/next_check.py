"""When a contact has to be looked at again, from what the store knows of it."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.outlook import Outlook
from engine.ids import ContactId, TenantId
from rules.document import DUE
from rules.due import Situation, next_check_at
from services.contact_history import Known, known_at
from services.playbook import Playbook, playbook_in_force
from store.decision_inputs import get_decision_inputs

# attributes that neither the contact's row nor its history gives, and that time changes
_ELSEWHERE = ("health.", "journey.")


async def next_check(
    connection: AsyncConnection, tenant_id: TenantId, contact_id: ContactId, as_of: datetime
) -> datetime | None:
    """Return when a rule that waits for events will begin to hold if nothing happens; None: never.

    Raises:
        ContactNotFound: unknown, or another tenant's.
    """
    versions, row = await get_decision_inputs(connection, contact_id, as_of)
    playbook = await playbook_in_force(connection, tenant_id, versions)
    return next_check_of(playbook, await known_at(connection, playbook, row, as_of), as_of)


def next_check_of(playbook: Playbook, known: Known, as_of: datetime) -> datetime | None:
    """Return the same for what is known of the contact."""
    rules = playbook.rules
    waiting = [
        expression
        for expression, rule in zip(rules.expressions, rules.rules, strict=True)
        if rule.checked_on(DUE)
    ]
    if not waiting:
        return None
    elsewhere = frozenset(
        spec.name
        for spec in rules.features
        if spec.attribute is not None and spec.attribute.startswith(_ELSEWHERE)
    )
    outlook = Outlook(known.attributes, known.events, zone=known.zone, holidays=known.holidays)
    situation = Situation(outlook, as_of, rules.subject_kinds, elsewhere)
    return next_check_at(waiting, situation)
