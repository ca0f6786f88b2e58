"""Which contacts have to be looked at, and when.

Who reports an event adds a row and waits for nobody. Who looks at a contact holds its advisory
lock, and takes away the rows that it has seen: an event that comes meanwhile is looked at next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import ContactId, TenantId
from store.direct import find_row
from store.sends import WAKE_CHANNEL

WAKE_KIND = "check"
FOR_TIME = "due"


@dataclass(frozen=True, slots=True)
class DueCheck:
    """A reason to look at a contact.

    Attributes:
        check_at: UTC.
        trigger: an event type, or 'due' for every rule that waits for events.
        failures: checks of it that failed.
        reason: code of the last failure; None without.
    """

    id: int
    contact_id: ContactId
    check_at: datetime
    trigger: str
    failures: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class DueCounts:
    """How many contacts wait to be looked at, of how many the time has come, how many failed."""

    waiting: int
    due: int
    failed: int


_COLUMNS = "id, contact_id, check_at, trigger, failures, reason"
# an event that lies minutes ahead is looked at when it happens
_ASK = """
  WITH asked AS (
    INSERT INTO keepwell.due_checks (tenant_id, contact_id, check_at, trigger)
    VALUES (:tenant, :contact, greatest(keepwell.clock(), :occurred_at), :trigger) RETURNING 1
  )
  SELECT pg_notify(:channel, json_build_object('tenant', cast(:tenant AS text),
                                               'kind', cast(:kind AS text))::text) FROM asked
"""


async def ask_check(
    connection: AsyncConnection,
    tenant_id: TenantId,
    contact_id: ContactId,
    *,
    trigger: str,
    occurred_at: datetime,
) -> None:
    """Ask for a look at a contact because of an event; the commit wakes the workers."""
    await find_row(
        connection,
        _ASK,
        {
            "tenant": tenant_id,
            "contact": contact_id,
            "trigger": trigger,
            "occurred_at": occurred_at,
            "channel": WAKE_CHANNEL,
            "kind": WAKE_KIND,
        },
    )


async def find_rules_digest(connection: AsyncConnection) -> str | None:
    """Return the digest of the tenant's rules in force; None without any."""
    statement = "SELECT digest FROM keepwell.rule_releases ORDER BY number DESC LIMIT 1"
    row = await find_row(connection, statement, {})
    return None if row is None else str(row[0])


async def list_due_contacts(
    connection: AsyncConnection, *, now: datetime, limit: int
) -> list[ContactId]:
    """Return contacts whose time has come, who waits longest first."""
    rows = await connection.execute(
        text(
            "SELECT contact_id FROM keepwell.due_checks WHERE check_at <= :now "
            "GROUP BY contact_id ORDER BY min(check_at), contact_id LIMIT :limit"
        ),
        {"now": now, "limit": limit},
    )
    return [ContactId(row[0]) for row in rows]


async def claim_checks(
    connection: AsyncConnection, contact_id: ContactId, *, now: datetime
) -> list[DueCheck]:
    """Return the contact's due checks, the oldest first; it is ours until the transaction ends.

    Empty if nothing is due any more, or somebody else is at it.
    """
    held = await connection.scalar(
        text(
            "SELECT pg_try_advisory_xact_lock("
            "hashtextextended('check ' || cast(:contact AS text), 0))"
        ),
        {"contact": str(contact_id)},
    )
    if not held:
        return []
    # a statement of its own, so it sees what the last holder of the lock has committed
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM keepwell.due_checks "
            "WHERE contact_id = :contact AND check_at <= :now ORDER BY id"
        ),
        {"contact": contact_id, "now": now},
    )
    return [DueCheck(*row) for row in rows]


async def finish_checks(
    connection: AsyncConnection,
    tenant_id: TenantId,
    checks: Sequence[DueCheck],
    *,
    next_at: datetime | None,
) -> None:
    """Take these checks of one claimed contact away and set its next one for time, if any."""
    contact_id = checks[0].contact_id
    await connection.execute(
        text(
            "DELETE FROM keepwell.due_checks WHERE contact_id = :contact "
            "AND (id = ANY(:ids) OR trigger = :for_time)"
        ),
        {"contact": contact_id, "ids": [check.id for check in checks], "for_time": FOR_TIME},
    )
    if next_at is not None:
        await connection.execute(
            text(
                "INSERT INTO keepwell.due_checks (tenant_id, contact_id, check_at, trigger) "
                "VALUES (:tenant, :contact, :at, :for_time)"
            ),
            {"tenant": tenant_id, "contact": contact_id, "at": next_at, "for_time": FOR_TIME},
        )


async def set_back(
    connection: AsyncConnection, checks: Sequence[DueCheck], *, reason: str, wait: timedelta
) -> None:
    """Put checks that failed off by a while; `reason` is a code, without personal data."""
    await connection.execute(
        text(
            "UPDATE keepwell.due_checks SET check_at = keepwell.clock() + :wait, "
            "failures = failures + 1, reason = :reason WHERE id = ANY(:ids)"
        ),
        {"ids": [check.id for check in checks], "reason": reason, "wait": wait},
    )


async def list_checks(connection: AsyncConnection, *, limit: int) -> list[DueCheck]:
    """Return what waits, the earliest first."""
    rows = await connection.execute(
        text(f"SELECT {_COLUMNS} FROM keepwell.due_checks ORDER BY check_at, id LIMIT :limit"),
        {"limit": limit},
    )
    return [DueCheck(*row) for row in rows]


async def count_checks(connection: AsyncConnection, *, now: datetime) -> DueCounts:
    """Count contacts with a check, with one that is due, and with one that has failed."""
    row = (
        await connection.execute(
            text(
                "SELECT count(DISTINCT contact_id), "
                "count(DISTINCT contact_id) FILTER (WHERE check_at <= :now), "
                "count(DISTINCT contact_id) FILTER (WHERE failures > 0) FROM keepwell.due_checks"
            ),
            {"now": now},
        )
    ).one()
    return DueCounts(*row)
