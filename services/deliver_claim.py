"""Claims what is due: one short transaction that asks the gate and takes a lease."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import formataddr
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, SendId, TenantId
from engine.policy.settings import PolicyData
from engine.profile import ANSWERS
from engine.reasons import Reason, code
from services.deliver_outcome import Terms, may_repeat
from services.gate import Facts, GateRules, Verdict, gate
from services.playbook import policy_in_force, rules_of
from services.redecide import comes_back, redecide
from services.rules_in_force import ensure_rules
from services.tenant_settings import TenantSettings, parse_settings
from store.consents import list_consents_held
from store.leases import Aside, Lease, get_moment, lease, lock_due, set_aside
from store.playbooks import Versions, get_versions
from store.recipients import (
    Touch,
    list_household_touches,
    list_newest_answers,
    list_newest_events,
    list_recipients,
    list_touches,
)
from store.sends import Send

LOCAL_CHANNELS = frozenset({"call_task"})  # written to our own database: no provider, no doubt


@dataclass(frozen=True, slots=True)
class Claimed:
    """A send that may go out now, under a lease."""

    send: Send
    lease: Lease


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim took.

    Attributes:
        claimed: to be called.
        aside: state -> how many were set aside without a call.
        sender: 'Name <address>' of the tenant, for e-mails that name none; None if it has set none.
    """

    claimed: tuple[Claimed, ...]
    aside: Counter[str]
    sender: str | None

    @property
    def seen(self) -> int:
        """How many sends the claim dealt with."""
        return len(self.claimed) + self.aside.total()


async def claim_due(
    connection: AsyncConnection,
    tenant_id: TenantId,
    key_lifetimes: Mapping[str, timedelta | None],
    terms: Terms,
    *,
    limit: int,
) -> Claim:
    """Claim up to `limit` due sends in the caller's transaction, which it commits at once.

    `key_lifetimes` has the channels whose provider drops repeats. What the gate holds back gets a
    later time or its last state here.
    """
    now = await get_moment(connection)
    due = await lock_due(connection, tenant_id, now=now, limit=limit)
    versions = await get_versions(connection, now)
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    sender = _sender_line(settings)
    if not due:
        return Claim((), Counter(), sender)
    rules, facts = await gate_inputs(connection, tenant_id, versions, due, now)
    passed: list[Send] = []
    checks: dict[SendId, Sequence[str]] = {}
    aside: Counter[str] = Counter()
    for send in due:
        known = facts[send.contact_id]
        verdict = gate(send, known, rules, now)
        held_back = _held_back(send, verdict, key_lifetimes.get(send.channel), now)
        if held_back is not None:
            aside[held_back.state] += 1
            await set_aside(connection, tenant_id, send.id, held_back)
            if held_back.state == "suppressed" and comes_back(held_back.reason):
                at = verdict.at or now
                await redecide(connection, tenant_id, send.contact_id, at=at)
            continue
        passed.append(send)
        checks[send.id] = verdict.checks
        # the contact's next send in this claim counts this one, and so does its household's
        touch = Touch(send.id, send.contact_id, send.purpose, now)
        facts[send.contact_id] = replace(known, touches=(*known.touches, touch))
        for other in _of_household(due, send):
            family = (*facts[other].household, (send.action, send.contact_id, now))
            facts[other] = replace(facts[other], household=family)
    leases = await lease(connection, tenant_id, checks, seconds=terms.lease_seconds)
    return Claim(tuple(Claimed(send, leases[send.id]) for send in passed), aside, sender)


async def gate_inputs(
    connection: AsyncConnection,
    tenant_id: TenantId,
    versions: Versions,
    sends: Sequence[Send],
    now: datetime,
) -> tuple[GateRules, dict[ContactId, Facts]]:
    """Return what the gate is asked with for these sends, under the versions in force."""
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    live = await _live_rules(connection, tenant_id, versions, sends)
    policy = await policy_in_force(connection, tenant_id, versions)
    rules = replace(gate_rules(settings, policy), live_rules=live, tenant=str(tenant_id))
    return rules, await _facts(connection, tenant_id, sends, rules, now)


def _sender_line(settings: TenantSettings) -> str | None:
    if settings.sender is None or not settings.sender_email:
        return None
    return formataddr((settings.sender.name, settings.sender_email))


def gate_rules(settings: TenantSettings, policy: PolicyData) -> GateRules:
    """Return what the gate needs of a tenant's settings."""
    pairs = (pair.partition(":") for pair in settings.implied_consent)
    return GateRules(
        policy=policy,
        implied=frozenset((channel, purpose) for channel, _, purpose in pairs),
        time_zone=settings.time_zone,
        paused=settings.paused,
    )


async def _live_rules(
    connection: AsyncConnection, tenant_id: TenantId, versions: Versions, due: Sequence[Send]
) -> frozenset[str]:
    """Rules that may send now; not asked for sends that no rule proposed."""
    if all(send.rule is None for send in due):
        return frozenset()
    digest = versions.rule_set_digest
    if digest is None:  # decided before there were releases
        digest = await ensure_rules(connection, tenant_id, versions.industry)
    compiled = await rules_of(connection, digest)
    return frozenset(rule.id for rule in compiled.rules if rule.status == "live")


def _held_back(
    send: Send, verdict: Verdict, key_lifetime: timedelta | None, now: datetime
) -> Aside | None:
    unclear_since = None if send.channel in LOCAL_CHANNELS else send.unclear_since
    blocked = verdict.reason == code(Reason.FREQUENCY_CAP) and unclear_since is None
    if verdict.answer == "later" and not blocked:
        return Aside("pending", verdict.reason, verdict.checks, verdict.at)
    if verdict.answer != "now":
        # a full cap blocks for days: what is right after it is decided after it
        # what may have gone out already can't be called suppressed
        state = "suppressed" if unclear_since is None else "unknown"
        return Aside(state, verdict.reason, verdict.checks)
    if not may_repeat(send, unclear_since=unclear_since, key_lifetime=key_lifetime, now=now):
        return Aside("unknown", "acceptance_unknown", verdict.checks)
    return None


async def _facts(
    connection: AsyncConnection,
    tenant_id: TenantId,
    due: Sequence[Send],
    rules: GateRules,
    now: datetime,
) -> dict[ContactId, Facts]:
    contacts = sorted({send.contact_id for send in due})
    longest_days = _days_that_matter(rules.policy)
    decided_at = min(send.decided_at for send in due)
    recipients = await list_recipients(connection, tenant_id, contacts)
    consents = await list_consents_held(connection, tenant_id, contacts, now=now)
    events = await list_newest_events(connection, tenant_id, contacts, since=decided_at)
    touches: dict[ContactId, list[Touch]] = {}
    # one day more: a calendar day may begin 25 hours ago
    since = now - timedelta(days=longest_days + 1)
    for touch in await list_touches(connection, tenant_id, contacts, since=since):
        touches.setdefault(touch.contact_id, []).append(touch)
    answers = await list_newest_answers(connection, tenant_id, contacts, types=ANSWERS, since=since)
    homes = await _households(connection, tenant_id, due, rules.policy, now)
    return {
        contact: Facts(
            recipient=recipients.get(contact),
            consents=consents.get(contact, {}),
            touches=touches.get(contact, ()),
            newest_events=events.get(contact, {}),
            answered_at=answers.get(contact),
            household=homes.get(contact, ()),
        )
        for contact in contacts
    }


def _days_that_matter(policy: PolicyData) -> int:
    """How far back a message can still count for a cap, a lowered cap or a rest."""
    days = [cap.window_days for cap in policy.caps]
    if policy.lowered is not None:
        days.append(policy.lowered.within_days)
    if policy.rest is not None:
        days.append(policy.rest.within_days + policy.rest.rest_days)
    return max(days, default=0)


def _of_household(due: Sequence[Send], send: Send) -> set[ContactId]:
    if send.household is None:
        return set()
    return {each.contact_id for each in due if each.household == send.household}


async def _households(
    connection: AsyncConnection,
    tenant_id: TenantId,
    due: Sequence[Send],
    policy: PolicyData,
    now: datetime,
) -> dict[ContactId, list[tuple[str, UUID, datetime]]]:
    """By contact, what has gone to the account of its send."""
    homes = {send.contact_id: send.household for send in due if send.household is not None}
    if not homes or policy.household.within_days == 0:
        return {}
    since = now - timedelta(days=policy.household.within_days)
    touched: dict[UUID, list[tuple[str, UUID, datetime]]] = {}
    for home, contact, action, at in await list_household_touches(
        connection, tenant_id, sorted(set(homes.values())), since=since
    ):
        touched.setdefault(home, []).append((action, contact, at))
    return {contact: touched.get(home, []) for contact, home in homes.items()}
