"""Look at contacts whose time has come: decide, note when to look again, one transaction each.

An event is looked at once, whatever is killed when: the decision, what it promises and the end of
the check are committed together or not at all.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import ContactNotFound, KeepwellError, TenantNotFound, Unavailable
from engine.ids import ContactId, TenantId
from services.decide import decide_contact
from services.next_check import next_check
from services.redecide import TRIGGER as REDECIDE
from services.wiring import Runtime
from store.approvals import expire
from store.due_checks import (
    FOR_TIME,
    DueCheck,
    claim_checks,
    count_checks,
    finish_checks,
    list_checks,
    list_due_contacts,
    set_back,
)
from store.leases import get_moment

log = logging.getLogger(__name__)

_AT_ONCE = 2  # for four tenants at once these are the connections that a pool keeps
_BATCH = 50
_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """How many contacts were looked at and what became of it.

    Attributes:
        decided: with a decision on record, whether it proposes something or not.
        gone: deleted in the CRM meanwhile.
        failed: put off, with the reason on the row.
    """

    decided: int = 0
    gone: int = 0
    failed: int = 0

    @property
    def seen(self) -> int:
        """All of them."""
        return self.decided + self.gone + self.failed


async def check_due(
    runtime: Runtime,
    tenant_id: TenantId,
    *,
    limit: int = 50,
    stop: asyncio.Event | None = None,
) -> CheckSummary:
    """Look at up to `limit` of the tenant's contacts whose time has come; `stop` ends it early.

    A contact that fails is put off, longer each time, and hinders no other.

    Raises:
        DatabaseUnavailable: what was not looked at stays due.
    """
    ended: Counter[str] = Counter()
    while ended.total() < limit and not (stop is not None and stop.is_set()):
        async with runtime.database.transaction(tenant_id) as connection:
            now = await get_moment(connection)
            size = min(_BATCH, limit - ended.total())
            contacts = await list_due_contacts(connection, now=now, limit=size)
        room = asyncio.Semaphore(_AT_ONCE)
        looks = [_look(runtime, tenant_id, contact, room) for contact in contacts]
        batch: Counter[str] = Counter()
        for outcome in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            batch[outcome] += 1
        del batch["taken"]
        if not batch:
            break
        ended += batch
    return CheckSummary(ended["decided"], ended["gone"], ended["failed"])


async def _look(
    runtime: Runtime, tenant_id: TenantId, contact_id: ContactId, room: asyncio.Semaphore
) -> str:
    claimed: list[DueCheck] = []
    async with room:
        try:
            async with runtime.database.transaction(tenant_id) as connection:
                return await _decide(connection, runtime, tenant_id, contact_id, claimed)
        except Unavailable:
            raise
        except TenantNotFound:
            return "taken"  # deleted since it was listed; it is listed no more
        except Exception as error:  # one contact's fault must not stop the others
            reason = error.code if isinstance(error, KeepwellError) else type(error).__name__
            log.exception("tenant %s, contact %s: a check failed", tenant_id, contact_id)
        return await _put_off(runtime, tenant_id, claimed, reason)


async def _decide(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    contact_id: ContactId,
    claimed: list[DueCheck],
) -> str:
    # by the database's clock, which said when the events became known: none of them is overlooked
    now = await get_moment(connection)
    claimed += await claim_checks(connection, contact_id, now=now)
    if not claimed:
        return "taken"
    trigger = _trigger(claimed)
    await expire(connection, contact_id, now=now)
    try:
        await decide_contact(
            connection, runtime, tenant_id, str(contact_id), as_of=now, trigger=trigger
        )
        next_at = await next_check(connection, tenant_id, contact_id, now)
    except ContactNotFound:
        await finish_checks(connection, tenant_id, claimed, next_at=None)
        return "gone"
    await finish_checks(connection, tenant_id, claimed, next_at=next_at)
    return "decided"


def _trigger(checks: Sequence[DueCheck]) -> str:
    """The event's type; for several, and for time, every rule that waits for events is asked.

    What comes back to arbitration is decided with all rules.
    """
    triggers = {check.trigger for check in checks}
    if REDECIDE in triggers:
        return REDECIDE
    return triggers.pop() if len(triggers) == 1 else FOR_TIME


async def _put_off(
    runtime: Runtime, tenant_id: TenantId, checks: Sequence[DueCheck], reason: str
) -> str:
    failures = max((check.failures for check in checks), default=0)
    wait = min(_FIRST_WAIT * 2 ** min(failures, 20), _LONGEST_WAIT)
    async with runtime.database.transaction(tenant_id) as connection:
        await set_back(connection, checks, reason=reason, wait=wait)
    return "failed"


async def show_due(connection: AsyncConnection, *, limit: int) -> dict[str, Any]:
    """Return what waits to be looked at: counts of contacts, and the earliest `limit` checks."""
    now = await get_moment(connection)
    counts = await count_checks(connection, now=now)
    return {
        "contacts": counts.waiting,
        "due": counts.due,
        "failed": counts.failed,
        "checks": [
            {
                "contact": str(check.contact_id),
                "check_at": check.check_at.isoformat(),
                "trigger": check.trigger,
                "failures": check.failures,
                "reason": check.reason,
            }
            for check in await list_checks(connection, limit=limit)
        ],
    }
