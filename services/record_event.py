"""Record an event exactly once; attribute it to the decision it answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.machines import FAKED, read_by_machine
from bandits.rewards import REWARD_LADDER
from engine.errors import DecisionNotFound, InvalidInput
from engine.ids import TenantId
from services.playbook import rules_of
from services.redecide import redecide
from services.rules_in_force import RuleSetNotFound, ensure_rules
from store.decisions import get_decision
from store.due_checks import ask_check, find_rules_digest
from store.events import (
    SentDecision,
    StoredEvent,
    add_event,
    add_outcome,
    list_revoked_goals,
    list_sent_decisions,
    settle_reward,
)
from store.profiles import contact_not_found, find_contact, get_contact_id
from store.sends import notify_wake
from store.tenants import get_industry

SOURCE = "api"
BOUNCED = "message.bounced"
_TOLERANCE = timedelta(minutes=5)
# answers to the message itself; a goal event is found through the rule of the decision
_ANSWERS = {
    "message.opened": "opened",
    "message.clicked": "clicked",
    "message.replied": "replied",
}
# an answer to a message that is older than this says nothing about the message any more
_ANSWER_WINDOW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as a program reports it.

    Attributes:
        id: unique at the sender; the same id again changes nothing.
        contact: our id or 'external:<id>'.
        decision_id: which decision it answers, where the sender knows it.
        value: a finite number that it carries, e.g. the score of an answered survey.
    """

    id: str
    type: str
    contact: str
    occurred_at: datetime
    decision_id: UUID | None = None
    subject: str | None = None
    amount_cents: int | None = None
    starts_at: datetime | None = None
    properties: Mapping[str, Any] | None = None
    value: float | None = None


async def record_event(
    connection: AsyncConnection, tenant_id: TenantId, event: NewEvent, *, now: datetime
) -> dict[str, Any]:
    """Record an event and what it is an outcome of; the bandits learn from it soon after.

    Returns id, status ('recorded' or 'duplicate'), decision_id, outcome ('opened', ..., 'goal' or
    None) and the decision's reward so far.

    Raises:
        ContactNotFound, DecisionNotFound: unknown, or another tenant's.
        InvalidInput: it lies in the future, or its value is not finite.
    """
    _check(event, now)
    contact_id = await get_contact_id(connection, event.contact)
    if not await find_contact(connection, contact_id):
        raise contact_not_found(event.contact)
    if event.decision_id is not None:
        decision, _ = await get_decision(connection, event.decision_id)
        if decision["contact_id"] != str(contact_id):
            raise DecisionNotFound(f"There is no decision '{event.decision_id}' of this contact.")
    stored = StoredEvent(
        source=SOURCE,
        external_id=event.id,
        contact_id=contact_id,
        type=event.type,
        occurred_at=event.occurred_at,
        subject=event.subject,
        amount_cents=event.amount_cents,
        starts_at=event.starts_at,
        decision_id=event.decision_id,
        properties=event.properties,
        value=event.value,
    )
    if not await add_event(connection, tenant_id, stored):
        return _receipt(event.id, "duplicate")
    await _ask_check(connection, tenant_id, stored)
    for decision_id in await list_revoked_goals(connection, stored):
        await settle_reward(connection, tenant_id, decision_id)
        await notify_wake(connection, tenant_id, "learn")
    found = await _attributed(connection, stored)
    if found is None:
        return _receipt(event.id, "recorded")
    sent, kind = found
    after = (stored.occurred_at - sent.sent_at).total_seconds()
    step = FAKED[kind] if read_by_machine(kind, after, event.properties) else kind
    reward = await add_outcome(
        connection, tenant_id, stored, decision_id=sent.id, kind=step,
        reward=REWARD_LADDER[step],
    )  # fmt: skip
    await notify_wake(connection, tenant_id, "learn")
    return _receipt(event.id, "recorded", str(sent.id), step, reward)


def _check(event: NewEvent, now: datetime) -> None:
    if event.occurred_at.tzinfo is None:
        raise InvalidInput(
            f"The event {event.id} happened at {event.occurred_at.isoformat()}, without time zone.",
            hint="Add one, e.g. a final Z.",
        )
    if event.occurred_at > now + _TOLERANCE:
        raise InvalidInput(
            f"The event {event.id} happened at {event.occurred_at.isoformat()}, after now.",
            hint="Send it when it has happened; what is booked goes into starts_at.",
        )
    if event.value is not None and not math.isfinite(event.value):
        raise InvalidInput(f"The event {event.id} has the value {event.value}, which is no number.")


async def _ask_check(connection: AsyncConnection, tenant_id: TenantId, event: StoredEvent) -> None:
    """Have a worker look at the contact if a rule waits for such events."""
    digest = await find_rules_digest(connection)
    if digest is None:
        digest = await ensure_rules(connection, tenant_id, await get_industry(connection))
    try:
        rules = (await rules_of(connection, digest)).rules
    except RuleSetNotFound:
        return  # nothing can be decided without them; the event is recorded all the same
    if event.type == BOUNCED:
        await redecide(connection, tenant_id, event.contact_id, at=event.occurred_at)
    if any(rule.checked_on(event.type) for rule in rules):
        await ask_check(
            connection,
            tenant_id,
            event.contact_id,
            trigger=event.type,
            occurred_at=event.occurred_at,
        )


async def _attributed(
    connection: AsyncConnection, event: StoredEvent
) -> tuple[SentDecision, str] | None:
    """Which sent decision the event answers, and how; the newest one that fits.

    An answer needs a message that left before it; a goal event one whose rule names it as the goal
    and whose attribution window is still open, and which was about the same subject.
    """
    sent = await list_sent_decisions(connection, event.contact_id, until=event.occurred_at)
    if event.decision_id is not None:
        sent = [each for each in sent if each.id == event.decision_id]
    for each in sent:
        kind = await _kind(connection, event, each)
        if kind is not None:
            return each, kind
    return None


async def _kind(connection: AsyncConnection, event: StoredEvent, sent: SentDecision) -> str | None:
    age = event.occurred_at - sent.sent_at
    if event.type in _ANSWERS:
        return _ANSWERS[event.type] if age <= _ANSWER_WINDOW else None
    try:
        rules = (await rules_of(connection, sent.rule_set_digest)).rule_set
    except RuleSetNotFound:
        return None  # the event is recorded all the same; nobody can say any more what the goal was
    rule = next((r for r in rules.rules if r.id == sent.rule), None)
    if rule is None:
        return None
    goal = rule.then.goal
    if event.type not in rules.vocabulary.types(goal.event):
        return None
    is_about_kind = rules.vocabulary.about(event.type) == rule.subject
    if is_about_kind and event.subject is not None and event.subject != sent.subject:
        return None  # another contract renewed, another invoice paid
    return "goal" if age <= timedelta(days=goal.within_days) else None


def _receipt(
    event_id: str,
    status: str,
    decision_id: str | None = None,
    outcome: str | None = None,
    reward: float | None = None,
) -> dict[str, Any]:
    return {
        "id": event_id,
        "status": status,
        "decision_id": decision_id,
        "outcome": outcome,
        "reward": reward,
    }
