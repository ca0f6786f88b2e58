"""The policy's numbers in force for a tenant, stored whole so that any decision can be replayed."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidRules, NotFound
from engine.ids import TenantId
from engine.policy.quiet_hours import zone_or_utc
from engine.policy.settings import Budget, PolicyData
from rules.policy_data import PolicyDocument, read_policy, tenant_policy
from store.policies import NewPolicy, add_policy, find_newest_policy, find_policy_numbers

log = logging.getLogger(__name__)

_READS = TypeAdapter(PolicyData)
_KEPT = 256  # tenants whose numbers stay in the process; one takes some 20 KB
_MONTHS_IN_QUARTER = 3

_numbers: OrderedDict[str, PolicyData] = OrderedDict()


@cache
def shipped() -> PolicyDocument:
    """Return the product's own numbers, read once."""
    return read_policy()


async def ensure_policy(
    connection: AsyncConnection, tenant_id: TenantId, industry: str | None
) -> str:
    """Return the digest of the numbers in force; store them first where they are not.

    A tenant's first version says what the product ships; a release of the product that ships other
    numbers makes a new version with the tenant's own settings kept.

    Settings that do not fit the product's new numbers leave the version before in force.
    """
    newest = await find_newest_policy(connection)
    changed = {} if newest is None else newest["changed"]
    try:
        policy = tenant_policy(shipped(), changed, industry)
    except InvalidRules:
        if newest is None:
            raise
        log.exception("tenant %s: its policy does not fit the product's new numbers", tenant_id)
        return str(newest["digest"])
    current = (policy.digest, shipped().settings.digest)
    if newest is not None and (newest["digest"], newest["shipped_digest"]) == current:
        return policy.digest
    version = 1 if newest is None else newest["version"] + 1
    why = "first numbers" if newest is None else "the product ships other numbers"
    made = new_policy(policy, changed, "keepwell", why)
    if not await add_policy(connection, tenant_id, made, version):
        return await ensure_policy(connection, tenant_id, industry)  # another was faster
    return policy.digest


def new_policy(
    policy: PolicyData, changed: Mapping[str, Any], set_by: str, reason: str
) -> NewPolicy:
    """Return the version that stores these numbers."""
    return NewPolicy(
        digest=policy.digest,
        shipped_digest=shipped().settings.digest,
        numbers=_READS.dump_json(policy).decode(),
        changed=changed,
        set_by=set_by,
        reason=reason,
    )


async def policy_numbers(connection: AsyncConnection, digest: str) -> PolicyData:
    """Return the numbers of a digest, read at most once per process.

    Raises:
        NotFound: they are not stored for this tenant.
    """
    if digest in _numbers:
        _numbers.move_to_end(digest)
        return _numbers[digest]
    stored = await find_policy_numbers(connection, digest)
    if stored is None:
        raise NotFound(
            f"The policy numbers {digest[:12]} are not stored for this tenant.",
            hint="Restore them from a backup; decisions made with them can't be replayed without.",
        )
    found = policy_from(orjson.loads(stored))
    _numbers[digest] = found
    while len(_numbers) > _KEPT:
        _numbers.popitem(last=False)
    return found


def policy_from(document: Mapping[str, Any]) -> PolicyData:
    """Return the numbers that `new_policy` wrote."""
    return _READS.validate_python(document)


def policy_document(policy: PolicyData) -> dict[str, Any]:
    """Return the numbers as plain values."""
    return dict(_READS.dump_python(policy, mode="json"))


def period_start(budget: Budget, as_of: datetime, time_zone: str | None) -> date:
    """Return the first day of the budget's period at a moment, in the tenant's calendar."""
    today = as_of.astimezone(UTC).astimezone(zone_or_utc(time_zone)).date()
    if budget.per == "once":
        return date(1970, 1, 1)
    if budget.per == "year":
        return date(today.year, 1, 1)
    if budget.per == "quarter":
        first = (today.month - 1) // _MONTHS_IN_QUARTER * _MONTHS_IN_QUARTER + 1
        return date(today.year, first, 1)
    return date(today.year, today.month, 1)
