"""Promise a message: compose it, put it into the outbox in the decision's own transaction."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from content.brief import SMS_LIMITS, Brief, Limits
from content.compose import Composed, MessageRequest, compose
from content.draft import ModelSettings
from content.facts import FACTS
from engine.actions import Action
from engine.candidates import CONSENT_REVOKED
from engine.errors import InvalidInput, NotFound
from engine.ids import ContactId, DecisionId, SendId, TenantId
from engine.policy.quiet_hours import zone_or_utc
from engine.policy.terms import gives_of
from engine.profile import BY_MACHINE
from services.approve import ask_approval
from services.decision_rows import Recorded
from services.household import due_members
from services.message_facts import message_facts
from services.playbook import Playbook
from services.policy_numbers import period_start
from services.profiles import Address
from services.queue_send import queue_send
from services.tenant_settings import identity_of
from services.unsubscribe import make_token
from services.wiring import Runtime
from store.approvals import Question
from store.budgets import Gift
from store.plan_marks import APPROVED, find_verdict
from store.sends import NewSend

# what people write into telephone numbers and gateways don't take
_DIALLED = re.compile(r"[\s().-]")


@dataclass(frozen=True, slots=True)
class Promise:
    """What became of the message of a decision.

    Attributes:
        status: promised | duplicate (the same action was promised this day already) | too_late (its
            time is over: a decision about the past) | not_composed | needs_approval |
            budget_exhausted (others were faster) | nothing | dry_run.
        send_id: of the outbox row; None unless promised.
        content: subject and text; None unless composed.
        detail: why, in words; empty if there is nothing to add.
    """

    status: str
    send_id: UUID | None = None
    content: dict[str, str | None] | None = None
    detail: str = ""


async def promise_send(
    connection: AsyncConnection,
    runtime: Runtime,
    playbook: Playbook,
    recorded: Recorded,
    address: Address,
    *,
    draft: bool = True,
) -> Promise:
    """Compose the message of a decision and add it to the outbox; wake the workers on commit.

    `draft` allows a language model where one is configured. A message that can't be composed is
    no error of the decision: the promise says why.
    """
    action, row = recorded.action, recorded.row
    if action is None:
        return Promise("nothing")
    channel = str(row["channel"])
    send_at = datetime.fromisoformat(str(row["send_at"]))
    as_of = datetime.fromisoformat(str(row["as_of"]))
    not_after = max(send_at + timedelta(hours=2), as_of + timedelta(hours=action.send_within_hours))
    if not_after <= runtime.clock.now():
        return Promise("too_late", detail=f"it had to leave by {not_after.isoformat()}")
    recipient = address.of(channel)
    sender = playbook.settings.sender
    if recipient is None or (sender is None and channel != "call_task"):
        return Promise("not_composed", detail="the recipient's or sender's address is missing")
    draft = draft and not _refuses_machines(row)
    try:
        facts = await _facts(connection, playbook, action, row, address)
        composed = await _compose(runtime, playbook, recorded, facts, allow_draft=draft)
    except (InvalidInput, NotFound) as error:
        return Promise("not_composed", detail=f"{error.code}: {error.message}")
    send = _new_send(playbook, recorded, address, composed, recipient, (send_at, not_after))
    content = {"subject": composed.message.subject, "text": composed.message.text}
    gift = _gift(playbook, recorded, as_of)
    if action.needs_approval and not await _approved(connection, send, recorded, runtime):
        return await _put_before(connection, playbook.tenant_id, send, gift, recorded)
    status = await queue_send(connection, playbook.tenant_id, send, gift)
    return Promise(status, send.id if status == "promised" else None, content)


def _new_send(
    playbook: Playbook,
    recorded: Recorded,
    address: Address,
    composed: Composed,
    recipient: str,
    span: tuple[datetime, datetime],
) -> NewSend:
    action, row = recorded.action, recorded.row
    assert action is not None  # noqa: S101 - the caller returned before
    channel, sender = str(row["channel"]), playbook.settings.sender
    as_of = datetime.fromisoformat(str(row["as_of"]))
    send_id = SendId(UUID(str(row["id"])))
    local_day = as_of.astimezone(zone_or_utc(_zone(row))).date()
    content = {"subject": composed.message.subject, "text": composed.message.text}
    if channel != "email":
        recipient = _DIALLED.sub("", recipient)
    return NewSend(
        id=send_id,
        decision_id=DecisionId(send_id),
        contact_id=ContactId(UUID(str(row["contact_id"]))),
        dedupe_key=f"{row['contact_id']}/{action.id}/{row['subject']}/{local_day}",
        action=action.id,
        purpose=action.purpose,
        channel=channel,
        recipient=recipient,
        content={
            **content,
            "html": composed.message.html,
            "headers": dict(composed.message.headers),
            "sender": {
                "name": "" if sender is None else sender.name,
                "email": playbook.settings.sender_email,
            },
        },
        content_source=_source(composed),
        next_at=span[0],
        not_after=span[1],
        decided_at=as_of,
        still=_still(action, str(row["subject"])),
        household=None if address.household is None else UUID(address.household),
    )


def _gift(playbook: Playbook, recorded: Recorded, as_of: datetime) -> Gift | None:
    """What the message gives away, and the budget that pays."""
    assert recorded.action is not None  # noqa: S101 - the caller returned before
    given = gives_of(playbook.policy, recorded.action)
    if given is None:
        return None
    name, cents = given
    budget = next(each for each in playbook.policy.budgets if each.name == name)
    return Gift(
        decision_id=UUID(str(recorded.row["id"])),
        budget=name,
        period_start=period_start(budget, as_of, playbook.settings.time_zone),
        cents=cents,
        limit_cents=budget.limit_cents,
    )


def _refuses_machines(row: dict[str, object]) -> bool:
    profile = row["profile"]
    assert isinstance(profile, dict)  # noqa: S101 - decision_rows wrote it
    pairs = profile["consent"].items()
    return any(k.startswith(f"{BY_MACHINE}:") and v == CONSENT_REVOKED for k, v in pairs)


def _still(action: Action, subject: str) -> list[dict[str, str]]:
    """The facts, those about the action's subject with its name."""
    return [{**fact, "about": subject} if "about" in fact else dict(fact) for fact in action.still]


async def _approved(
    connection: AsyncConnection, send: NewSend, recorded: Recorded, runtime: Runtime
) -> bool:
    """Whether a person has approved it in the plan, before it was decided."""
    row, now = recorded.row, runtime.clock.now()
    verdict = await find_verdict(
        connection, send.contact_id, str(row["rule"]), str(row["subject"]), now=now
    )
    return verdict == APPROVED


async def _put_before(
    connection: AsyncConnection,
    tenant_id: TenantId,
    send: NewSend,
    gift: Gift | None,
    recorded: Recorded,
) -> Promise:
    """Let a person decide; the same question is not asked twice at a time."""
    row = recorded.row
    question = Question(
        send, gift, str(row["rule"]), str(row["subject"]), float(row["score_cents"])
    )
    asked = await ask_approval(connection, tenant_id, question)
    content = {name: send.content[name] for name in ("subject", "text")}
    detail = f"a person has to approve it before {send.not_after.isoformat()}"
    if not asked:
        detail = "the same waits for a person already"
    return Promise("needs_approval", send.id if asked else None, content, detail)


async def _facts(
    connection: AsyncConnection,
    playbook: Playbook,
    action: Action,
    row: Mapping[str, Any],
    address: Address,
) -> dict[str, str]:
    as_of = datetime.fromisoformat(str(row["as_of"]))
    household = await due_members(connection, playbook, action.rule, str(row["contact_id"]), as_of)
    person = {
        "first_name": address.first_name,
        "full_name": address.full_name,
        "contact_phone": address.phone,
    }
    return message_facts(playbook, action, row, person, household)


async def _compose(
    runtime: Runtime,
    playbook: Playbook,
    recorded: Recorded,
    facts: dict[str, str],
    *,
    allow_draft: bool,
) -> Composed:
    action, row = recorded.action, recorded.row
    assert action is not None  # noqa: S101 - the caller returned before
    settings, channel = playbook.settings, str(row["channel"])
    contact = ContactId(UUID(str(row["contact_id"])))
    token = make_token(
        runtime.settings.secret.get_secret_value(), playbook.tenant_id, contact, channel
    )
    model = _model(runtime) if allow_draft and channel != "call_task" else None
    return await compose(
        MessageRequest(
            template=action.template,
            variant=str(row["variant"]),
            channel=channel,
            facts=facts,
            sender=identity_of(settings, playbook.tenant_name),
            unsubscribe_url=f"{runtime.settings.public_url}/v1/unsubscribe/{token}",
            brief=None if model is None else _brief(playbook, action, channel, facts),
        ),
        settings=model,
        deadline_seconds=runtime.settings.llm_timeout_seconds,
    )


def _model(runtime: Runtime) -> ModelSettings | None:
    settings = runtime.settings
    if settings.llm_base_url is None:
        return None
    return ModelSettings(
        settings.llm_base_url, settings.llm_api_key.get_secret_value(), settings.llm_model
    )


def _brief(playbook: Playbook, action: Action, channel: str, facts: dict[str, str]) -> Brief:
    rule = next(r for r in playbook.rules.rules if r.id == action.rule)
    known = (*facts, "practice_name", "practice_phone")
    return Brief(
        intent=rule.title[:300],
        channel=channel,
        placeholders=tuple(n for n in FACTS if n in known and not FACTS[n].staff_only),
        limits=SMS_LIMITS if channel == "sms" else Limits(),
    )


def _zone(row: dict[str, object]) -> str | None:
    profile = row["profile"]
    assert isinstance(profile, dict)  # noqa: S101 - decision_rows wrote it
    zone = profile["zone"]
    return None if zone is None else str(zone)


def _source(composed: Composed) -> str:
    """Who worded it: 'template', 'llm:<model>', or 'template (<why the draft did not serve>)'."""
    if composed.source == "llm":
        return f"llm:{composed.model}"
    return f"template ({composed.fallback_reason})" if composed.fallback_reason else "template"
