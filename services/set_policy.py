"""Change a tenant's policy: section by section, audited, every version kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import InvalidInput
from engine.ids import TenantId
from rules.policy_data import tenant_policy
from services.policy_numbers import ensure_policy, new_policy, shipped
from store.audit import AuditLine, add_audit
from store.policies import add_policy, find_newest_policy, lock_policy
from store.tenants import get_industry

_MOST_WORDS = 1000


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """What somebody wants to change.

    Attributes:
        sections: by name: plain values, or None to go back to what the product ships.
        by, reason: stand in the list of versions and in the audit trail.
        via: how it came, e.g. an API key's id; '' for the command line.
    """

    sections: Mapping[str, Any]
    by: str
    reason: str
    via: str = ""
    dry_run: bool = False


async def set_policy(
    connection: AsyncConnection, tenant_id: TenantId, change: PolicyChange
) -> dict[str, Any]:
    """Put the change in force with the next decision; return the version and what changed.

    Messages that wait are asked about again under the new numbers when they are claimed. The same
    numbers again make no new version; a dry run makes none at all.

    Raises:
        InvalidInput: nothing to change, or nobody who changes it.
        InvalidRules: a section that nobody knows, or a value that makes no sense; all findings.
    """
    if not change.sections or not change.by.strip():
        raise InvalidInput(
            "A change of the policy names sections and who changes them.",
            hint="keepwell policy set 'rollout={\"*\": 0.2}' --by ada --reason pilot",
        )
    if len(change.reason) > _MOST_WORDS:
        raise InvalidInput(f"The reason has more than {_MOST_WORDS} characters.")
    await lock_policy(connection, tenant_id)
    industry = await get_industry(connection)
    await ensure_policy(connection, tenant_id, industry)
    newest = await find_newest_policy(connection)
    assert newest is not None  # noqa: S101 - just ensured
    before: dict[str, Any] = newest["changed"]
    wanted = before | dict(change.sections)
    after = {name: value for name, value in wanted.items() if value is not None}
    policy = tenant_policy(shipped(), after, industry)
    changed = sorted(n for n in change.sections if before.get(n) != after.get(n))
    version = newest["version"]
    if changed and not change.dry_run:
        version += 1
        made = new_policy(policy, after, change.by, change.reason)
        await add_policy(connection, tenant_id, made, version)
        detail = {
            "reason": change.reason,
            "via": change.via,
            "before": {name: before.get(name) for name in changed},
            "after": {name: after.get(name) for name in changed},
        }
        line = AuditLine(change.by, "policy.set", "policy", str(version), detail)
        await add_audit(connection, tenant_id, line)
    return {
        "version": version,
        "digest": policy.digest,
        "changed": changed,
        "dry_run": change.dry_run,
    }
