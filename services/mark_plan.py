"""Say something about planned messages: approve them in advance, hold them back, strike them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput, NotFound
from engine.ids import ContactId, TenantId
from services.redecide import redecide
from store.audit import AuditLine, add_audit
from store.leases import get_moment
from store.plan_marks import (
    APPROVED,
    HELD,
    STRUCK,
    Mark,
    NewMark,
    add_marks,
    count_marks_by_rule,
    list_marks,
    withdraw_mark,
)
from store.planned import suppress_promised
from store.profiles import contact_not_found, find_contact, get_contact_id

# a word about a plan is about the weeks that the plan shows
_COUNTS_FOR = timedelta(days=14)
_LONGEST = timedelta(days=366)
_WHY = {HELD: "held_by_person", STRUCK: "struck_by_person"}


class MarkNotFound(NotFound):
    """There is no such word, or it has been taken back."""

    code = "mark_not_found"


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One row of the plan by its names; `contact` is our id or 'external:<id>'."""

    contact: str
    rule: str
    subject: str = "contact"


@dataclass(frozen=True, slots=True)
class Word:
    """What a person says.

    Attributes:
        verdict: 'approved', 'held' or 'struck'.
        until: it counts before this moment; None: two weeks.
    """

    verdict: str
    by: str
    reason: str = ""
    until: datetime | None = None


async def mark_plan(
    connection: AsyncConnection, tenant_id: TenantId, rows: Iterable[PlannedMessage], word: Word
) -> dict[str, Any]:
    """Record a word about planned messages; the real run respects it from now on.

    What is held or struck and queued already is taken back, and the contact decided about anew: at
    once for what is struck, at the end of the hold for what is held. Strikes are the feedback on
    their rule.

    Raises:
        ContactNotFound: unknown, or another tenant's; nothing is recorded then.
        InvalidInput: nobody is named, or the end lies behind or more than a year ahead.
    """
    now = await get_moment(connection)
    until = _checked(word, now)
    marks = []
    for row in rows:
        contact_id = await get_contact_id(connection, row.contact)
        if not await find_contact(connection, contact_id):
            raise contact_not_found(row.contact)
        marks.append(
            NewMark(contact_id, row.rule, row.subject, word.verdict, word.reason, word.by, until)
        )
    ids = await add_marks(connection, tenant_id, marks)
    taken_back = 0
    if word.verdict != APPROVED:
        again_at = now if word.verdict == STRUCK else until
        for mark in marks:
            taken_back += await _take_back(connection, tenant_id, mark, again_at)
    detail = {"rows": len(marks), "until": until.isoformat(), "reason": word.reason}
    await add_audit(
        connection,
        tenant_id,
        AuditLine(word.by, f"plan.{word.verdict}", "plan", str(ids[0] if ids else 0), detail),
    )
    return {
        "verdict": word.verdict,
        "marks": ids,
        "taken_back": taken_back,
        "until": until.isoformat(),
    }


def _checked(word: Word, now: datetime) -> datetime:
    if not word.by.strip():
        raise InvalidInput("Nobody is named who says so.", hint="Say who: --by, or 'by'.")
    until = word.until or now + _COUNTS_FOR
    if not now < until <= now + _LONGEST:
        raise InvalidInput(
            f"The end {until.isoformat()} is not within a year from now.",
            hint="Leave it out for two weeks.",
        )
    return until


async def _take_back(
    connection: AsyncConnection, tenant_id: TenantId, mark: NewMark, again_at: datetime
) -> int:
    contact = ContactId(mark.contact_id)
    count = await suppress_promised(
        connection, contact, mark.rule, mark.subject, reason=_WHY[mark.verdict]
    )
    if count or mark.verdict == HELD:
        await redecide(connection, tenant_id, contact, at=again_at)
    return count


async def withdraw(
    connection: AsyncConnection, tenant_id: TenantId, mark_id: int, *, by: str
) -> dict[str, Any]:
    """Take a word back.

    Raises:
        MarkNotFound: there is none, another tenant's, or taken back already.
    """
    if not await withdraw_mark(connection, mark_id, by=by):
        raise MarkNotFound(
            f"There is no mark {mark_id} in force.", hint="'keepwell plan marks' lists them."
        )
    line = AuditLine(by, "plan.withdrawn", "plan", str(mark_id))
    await add_audit(connection, tenant_id, line)
    return {"id": mark_id, "withdrawn": True}


async def show_marks(connection: AsyncConnection, *, limit: int) -> dict[str, Any]:
    """Return what people said of the plan, the newest first, and the feedback on each rule."""
    return {
        "marks": _documents(await list_marks(connection, limit=limit)),
        "by_rule": await count_marks_by_rule(connection),
    }


def _documents(marks: Sequence[Mark]) -> list[dict[str, Any]]:
    return [
        {
            "id": mark.id,
            "contact_id": str(mark.contact_id),
            "rule": mark.rule,
            "subject": mark.subject,
            "verdict": mark.verdict,
            "reason": mark.reason,
            "made_by": mark.made_by,
            "made_at": mark.made_at.isoformat(),
            "until": mark.until_at.isoformat(),
            "withdrawn_at": None if mark.withdrawn_at is None else mark.withdrawn_at.isoformat(),
        }
        for mark in marks
    ]
