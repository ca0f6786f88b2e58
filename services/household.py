"""Who of a household is due, by name: for a message that speaks for all of them."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.features.contact import HistoryEvent, features_of
from engine.features.spec import Feature
from engine.ids import ContactId
from services.contact_history import Known, known_at
from services.playbook import Playbook
from store.household_events import list_member_names
from store.profiles import get_profile_row


async def due_members(
    connection: AsyncConnection, playbook: Playbook, rule_id: str, contact_id: str, as_of: datetime
) -> list[str]:
    """Return the first names of the members that the rule counts as due, the contact as 'you'.

    Empty for a rule that does not count members, and for a contact without an account.
    """
    spec = _members_due(playbook, rule_id)
    if spec is None:
        return []
    contact = ContactId(UUID(contact_id))
    row = await get_profile_row(connection, contact, as_of)
    if row["account_id"] is None:
        return []
    known = await known_at(connection, playbook, row, as_of)
    own = [event for event in known.events if event.member is None]
    names = ["you"] if _is_due(own, spec, known, as_of) else []
    members = await list_member_names(connection, contact, row["account_id"], as_of)
    for member, first_name in members.items():
        theirs = [replace(e, member=None) for e in known.events if e.member == member]
        if _is_due(theirs, spec, known, as_of):
            names.append(first_name or "")
    return names


def _members_due(playbook: Playbook, rule_id: str) -> Feature | None:
    rules = playbook.rules
    expression = next((e for e in rules.expressions if e.rule_id == rule_id), None)
    specs = () if expression is None else expression.features
    return next((spec for spec in specs if spec.kind == "members_due"), None)


def _is_due(events: list[HistoryEvent], spec: Feature, known: Known, as_of: datetime) -> bool:
    """Whether the member alone would be counted: as a household of one, on the contact's clock."""
    return features_of({}, events, (spec,), as_of=as_of, zone=known.zone)[spec.name] == 1
