"""What people said of planned messages: approved in advance, held, or struck."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId

APPROVED, HELD, STRUCK = "approved", "held", "struck"


@dataclass(frozen=True, slots=True)
class NewMark:
    """A word about one planned message.

    Attributes:
        until: it counts before this moment.
    """

    contact_id: ContactId
    rule: str
    subject: str
    verdict: str
    reason: str
    made_by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Mark:
    """A word that was given; None while it is not withdrawn."""

    id: int
    contact_id: ContactId
    rule: str
    subject: str
    verdict: str
    reason: str
    made_by: str
    made_at: datetime
    until_at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None


# the newest word per contact, rule and subject that is in force at :as_of
MARKS_SQL = """
  SELECT DISTINCT ON (contact_id, rule, subject) contact_id, rule, subject, verdict
    FROM keepwell.plan_marks
   WHERE made_at <= :as_of AND until_at > :as_of
     AND (withdrawn_at IS NULL OR withdrawn_at > :as_of)
"""
MARKS_ORDER = "ORDER BY contact_id, rule, subject, id DESC"


async def add_marks(
    connection: AsyncConnection, tenant_id: TenantId, marks: Sequence[NewMark]
) -> list[int]:
    """Add marks; return their ids in the same order."""
    add = text(
        "INSERT INTO keepwell.plan_marks (tenant_id, contact_id, rule, subject, verdict, reason, "
        "made_by, until_at) VALUES (:tenant, :contact_id, :rule, :subject, :verdict, :reason, "
        ":made_by, :until) RETURNING id"
    )
    ids = [await connection.scalar(add, {"tenant": tenant_id} | asdict(mark)) for mark in marks]
    return [int(each or 0) for each in ids]


async def list_marks_in_force(
    connection: AsyncConnection, as_of: datetime
) -> dict[tuple[str, str, str], str]:
    """Return (contact, rule, subject) -> verdict in force at `as_of`."""
    rows = await connection.execute(text(f"{MARKS_SQL} {MARKS_ORDER}"), {"as_of": as_of})
    return {(str(row[0]), row[1], row[2]): row[3] for row in rows}


async def find_verdict(
    connection: AsyncConnection, contact_id: ContactId, rule: str, subject: str, *, now: datetime
) -> str | None:
    """Return what is in force for one message; None for nothing."""
    rows = await connection.execute(
        text(
            f"{MARKS_SQL} AND contact_id = :contact AND rule = :rule AND subject = :subject "
            f"{MARKS_ORDER}"
        ),
        {"as_of": now, "contact": contact_id, "rule": rule, "subject": subject},
    )
    row = rows.one_or_none()
    return None if row is None else str(row.verdict)


async def list_marks(connection: AsyncConnection, *, limit: int) -> list[Mark]:
    """Return marks, the newest first."""
    rows = await connection.execute(
        text(
            "SELECT id, contact_id, rule, subject, verdict, reason, made_by, made_at, until_at, "
            "withdrawn_by, withdrawn_at FROM keepwell.plan_marks ORDER BY id DESC LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [Mark(*row) for row in rows]


async def withdraw_mark(connection: AsyncConnection, mark_id: int, *, by: str) -> bool:
    """Take a mark back; False if there is none that is in force."""
    changed = await connection.execute(
        text(
            "UPDATE keepwell.plan_marks SET withdrawn_by = :by, withdrawn_at = keepwell.clock() "
            "WHERE id = :id AND withdrawn_at IS NULL"
        ),
        {"id": mark_id, "by": by},
    )
    return bool(changed.rowcount)


async def count_marks_by_rule(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Count what people said per rule: the feedback on it, the most struck first."""
    rows = await connection.execute(
        text(
            "SELECT rule, count(*) FILTER (WHERE verdict = 'approved') AS approved, "
            "count(*) FILTER (WHERE verdict = 'held') AS held, "
            "count(*) FILTER (WHERE verdict = 'struck') AS struck, "
            "array_remove(array_agg(DISTINCT nullif(reason, '')), NULL) AS reasons "
            "FROM keepwell.plan_marks WHERE withdrawn_at IS NULL "
            "GROUP BY rule ORDER BY struck DESC, rule"
        )
    )
    return [dict(row) for row in rows.mappings()]
