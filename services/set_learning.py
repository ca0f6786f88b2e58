"""Change how a tenant's bandits choose: policy, noise, pooling. Audited."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from engine.ids import TenantId
from services.learn import relearn
from services.learning_settings import learning_settings, parse_learning
from store.audit import AuditLine, add_audit
from store.learning import lock_learning
from store.tenants import get_industry, get_settings, save_settings


async def show_learning(connection: AsyncConnection, tenant_id: TenantId) -> dict[str, Any]:
    """Return policy, noise, pool and industry in force."""
    return asdict(await learning_settings(connection, tenant_id))


async def set_learning(
    connection: AsyncConnection,
    tenant_id: TenantId,
    changes: Mapping[str, Any],
    *,
    by: str,
    reason: str = "",
) -> dict[str, Any]:
    """Put the changes in force with the next decision; return what holds.

    What was learnt stays; the next version of the state is made from it at once.

    Raises:
        InvalidInput: nothing to change, nobody who changes it, or a value that can't be meant.
    """
    if not changes or not by.strip():
        raise InvalidInput(
            "A change of learning names a setting and who changes it.",
            hint="keepwell learning --policy thompson --tenant T --by ada",
        )
    await lock_learning(connection, tenant_id)
    settings = await get_settings(connection, tenant_id)
    before = settings.get("learning") or {}
    after = {**before, **changes}
    parse_learning(after, await get_industry(connection))
    if after != before:
        await save_settings(connection, tenant_id, {**settings, "learning": after})
        detail = {"reason": reason, "before": before, "after": after}
        await add_audit(connection, tenant_id, AuditLine(by, "learning.set", "tenant",
                                                         str(tenant_id), detail))  # fmt: skip
        await relearn(connection, tenant_id)
    return await show_learning(connection, tenant_id)
