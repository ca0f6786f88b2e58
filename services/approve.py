"""Answer for a person: approve what waits, refuse it, or let it expire. Silence never approves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, InvalidInput
from engine.ids import SendId, TenantId
from services.deliver_claim import gate_inputs
from services.gate import gate
from services.queue_send import queue_send
from services.redecide import redecide
from store.approvals import (
    Approval,
    Question,
    add_approval,
    count_approvals,
    list_approvals,
    lock_approval,
    settle,
)
from store.audit import AuditLine, add_audit
from store.contact_cards import list_contact_names
from store.leases import Aside, get_moment, set_aside
from store.plan_marks import STRUCK, NewMark, add_marks
from store.playbooks import get_versions
from store.sends import get_send

# a refused proposal rests as long as a goal is waited for, at least; a rule may ask for longer
_REST = timedelta(days=14)


class ApprovalClosed(Conflict):
    """The question has been answered, or its time is over."""

    code = "approval_closed"


async def ask_approval(
    connection: AsyncConnection, tenant_id: TenantId, question: Question
) -> bool:
    """Put a message before a person until it would be too late; False if it waits already.

    When its time is over without an answer, the contact is decided about anew.
    """
    asked = await add_approval(connection, tenant_id, question)
    if asked:
        send = question.send
        await redecide(connection, tenant_id, send.contact_id, at=send.not_after)
    return asked


async def show_approvals(
    connection: AsyncConnection, *, state: str = "waiting", limit: int = 100,
    after: UUID | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return what waits (or is in another state), what expires first, first; and counts by state.

    `next` is what to give as `after` for more; null at the end.
    """
    found = await list_approvals(connection, state=state, limit=limit + 1, after=after)
    names = await list_contact_names(connection, [each.contact_id for each in found])
    page = [_document(each, names) for each in found[:limit]]
    return {
        "counts": await count_approvals(connection),
        "approvals": page,
        "next": page[-1]["id"] if len(found) > limit else None,
    }


async def approve(
    connection: AsyncConnection, tenant_id: TenantId, approval_id: UUID, *, by: str
) -> dict[str, Any]:
    """Approve a message; it goes into the outbox if the gate still lets it pass.

    The answer's `state` is 'approved', or 'overtaken' with the gate's `reason`: what was true when
    it was decided may not be any more, and then the contact is decided about anew.

    Raises:
        ApprovalNotFound: unknown, or another tenant's.
        ApprovalClosed: it does not wait any more.
        InvalidInput: nobody is named.
    """
    now = await get_moment(connection)
    asked = await _waiting(connection, approval_id, by, now)
    state, reason = await _promise(connection, tenant_id, asked, now)
    await settle(connection, approval_id, state=state, by=by, reason=reason)
    await _audit(connection, tenant_id, asked, by, state, reason)
    if state == "overtaken":
        await redecide(connection, tenant_id, asked.contact_id, at=now)
    return {"id": str(approval_id), "state": state, "reason": reason}


async def refuse(
    connection: AsyncConnection, tenant_id: TenantId, approval_id: UUID, *, by: str, reason: str
) -> dict[str, Any]:
    """Refuse a message: it is not sent, and not proposed again for a while; feedback on the rule.

    Raises:
        ApprovalNotFound, ApprovalClosed, InvalidInput: as `approve`.
    """
    now = await get_moment(connection)
    asked = await _waiting(connection, approval_id, by, now)
    await settle(connection, approval_id, state="refused", by=by, reason=reason)
    await _audit(connection, tenant_id, asked, by, "refused", reason)
    mark = NewMark(asked.contact_id, asked.rule, asked.subject, STRUCK, reason, by, now + _REST)
    await add_marks(connection, tenant_id, [mark])
    # something else may be worth doing instead
    await redecide(connection, tenant_id, asked.contact_id, at=now)
    return {"id": str(approval_id), "state": "refused", "reason": reason}


async def _waiting(
    connection: AsyncConnection, approval_id: UUID, by: str, now: datetime
) -> Approval:
    if not by.strip():
        raise InvalidInput("Nobody is named who answers.", hint="Say who: --by, or 'by'.")
    asked = await lock_approval(connection, approval_id)
    if asked.state != "waiting":
        raise ApprovalClosed(
            f"The question '{approval_id}' is {asked.state} since {asked.settled_at}.",
            hint="What is decided next is asked anew.",
        )
    if asked.expires_at <= now:
        raise ApprovalClosed(
            f"The time for '{approval_id}' was over at {asked.expires_at.isoformat()}.",
            hint="What is decided next is asked anew.",
        )
    return asked


async def _promise(
    connection: AsyncConnection, tenant_id: TenantId, asked: Approval, now: datetime
) -> tuple[str, str | None]:
    """Put it into the outbox and ask the gate about it, in this transaction."""
    send = asked.as_send()
    send = replace(send, next_at=max(send.next_at, now))
    status = await queue_send(connection, tenant_id, send, asked.as_gift())
    if status != "promised":
        return "overtaken", status
    queued = await get_send(connection, tenant_id, SendId(asked.id))
    versions = await get_versions(connection, now)
    rules, facts = await gate_inputs(connection, tenant_id, versions, [queued], now)
    verdict = gate(queued, facts[queued.contact_id], rules, now)
    if verdict.answer != "never":
        return "approved", None  # 'later' is asked again when it is claimed
    aside = Aside("suppressed", verdict.reason, verdict.checks)
    await set_aside(connection, tenant_id, queued.id, aside)
    return "overtaken", verdict.reason


async def _audit(
    connection: AsyncConnection,
    tenant_id: TenantId,
    asked: Approval,
    by: str,
    state: str,
    reason: str | None,
) -> None:
    detail = {"rule": asked.rule, "reason": reason}
    line = AuditLine(by, f"approval.{state}", "decision", str(asked.id), detail)
    await add_audit(connection, tenant_id, line)


def _document(asked: Approval, names: Mapping[UUID, str]) -> dict[str, Any]:
    content = asked.message["content"]
    return {
        "id": str(asked.id),
        "contact_id": str(asked.contact_id),
        "contact": names.get(asked.contact_id),
        "action": asked.action,
        "rule": asked.rule,
        "subject": asked.subject,
        "channel": asked.channel,
        "score_cents": asked.score_cents,
        "content": {"subject": content.get("subject"), "text": content.get("text")},
        "state": asked.state,
        "asked_at": asked.asked_at.isoformat(),
        "expires_at": asked.expires_at.isoformat(),
        "settled_by": asked.settled_by,
        "settled_at": None if asked.settled_at is None else asked.settled_at.isoformat(),
        "reason": asked.reason,
    }


def ids_of(found: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """Return the ids in documents of `show_approvals`."""
    return [UUID(each["id"]) for each in found]
