"""Looks for work in PostgreSQL every other second: complete without Redis, only a little later."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from engine.errors import Unavailable
from engine.ids import TenantId
from store.due import (
    list_tenants_to_learn,
    list_tenants_with_due_checks,
    list_tenants_with_due_sends,
)
from workers.check import check_tenant
from workers.context import WorkerContext
from workers.deliver import deliver_tenant
from workers.learn import learn_tenant

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
_TENANTS_AT_ONCE = 4

Task = Callable[[WorkerContext, TenantId], Awaitable[int]]


async def sweep(context: WorkerContext) -> None:
    """Do all the work that is there now.

    Raises:
        DatabaseUnavailable: the tenants could not be listed.
    """
    async with context.runtime.database.without_tenant() as connection:
        to_check = await list_tenants_with_due_checks(connection)
        to_deliver = await list_tenants_with_due_sends(connection)
        to_learn = await list_tenants_to_learn(connection)
    await _for_each(context, to_deliver, deliver_tenant)
    await _for_each(context, to_learn, learn_tenant)
    await _for_each(context, to_check, check_tenant)


async def _for_each(context: WorkerContext, tenants: Sequence[TenantId], task: Task) -> None:
    room = asyncio.Semaphore(_TENANTS_AT_ONCE)

    async def one(tenant_id: TenantId) -> None:
        async with room:
            if context.stop.is_set():
                return
            try:
                await task(context, tenant_id)
            except Unavailable:
                raise
            except Exception:  # one tenant's fault must not stop the others
                log.exception("tenant %s: %s failed", tenant_id, task.__name__)

    outcomes = await asyncio.gather(*map(one, tenants), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
