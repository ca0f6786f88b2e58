"""What is in force for a tenant: release of rules, model, bandit state; every version is kept."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import TenantNotFound
from store.crm_access import THIS_TENANT


@dataclass(frozen=True, slots=True)
class Versions:
    """What is in force for a decision at a moment.

    Attributes:
        rule_set_digest: of the newest release of rules; None without one.
        model_digest: champion trained on data up to as_of at the latest; None without one.
        model_too_new: a champion exists but has seen data after as_of.
        policy_state_version: newest bandit state learnt by as_of; 0 for the prior.
        settings_json: the tenant's settings as JSON text.
        policy_digest: of the newest version of the policy's numbers; None without one.
        shipped_digest: of the product's numbers that version stands on.
        health_json: the newest weights and levels of health as JSON text; None without any.
        tenant_name: for messages.
        industry: e.g. healthcare; None if unset.
        experiments: that run at that moment: name, action, arms.
    """

    rule_set_digest: str | None
    model_digest: str | None
    model_too_new: bool
    policy_state_version: int
    settings_json: str
    tenant_name: str
    industry: str | None
    experiments: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    policy_digest: str | None = None
    shipped_digest: str | None = None
    health_json: str | None = None


# one row
VERSIONS_SQL = f"""
  SELECT
    (SELECT digest FROM keepwell.rule_releases
      ORDER BY number DESC LIMIT 1) AS rule_set_digest,
    m.digest AS model_digest, m.trained_until,
    coalesce((SELECT max(version) FROM keepwell.policy_states
               WHERE policy = 'treatment' AND effective_at <= :as_of), 0) AS policy_version,
    p.digest AS policy_digest, p.shipped_digest,
    coalesce((SELECT settings::text FROM keepwell.tenant_settings), '{{}}') AS settings_json,
    (SELECT settings::text FROM keepwell.health_settings
      ORDER BY version DESC LIMIT 1) AS health_json,
    t.name AS tenant_name, t.industry,
    (SELECT json_agg(json_build_array(name, action, arms) ORDER BY name)
       FROM keepwell.experiments
      WHERE started_at <= :as_of AND (stopped_at IS NULL OR stopped_at > :as_of)) AS experiments
  FROM tenants t
  LEFT JOIN keepwell.models m ON m.status = 'champion' AND m.kind = 'hazard'
  LEFT JOIN LATERAL (SELECT digest, shipped_digest FROM keepwell.policy_versions
                      ORDER BY version DESC LIMIT 1) p ON true
   WHERE t.id = {THIS_TENANT}
"""
_VERSIONS = text(f"SELECT row_to_json(v)::text FROM ({VERSIONS_SQL}) v")


async def get_versions(connection: AsyncConnection, as_of: datetime) -> Versions:
    """Return what is in force for a decision at `as_of`, in one round trip.

    Raises:
        TenantNotFound: the CRM has deleted the tenant meanwhile.
    """
    row = (await connection.execute(_VERSIONS, {"as_of": as_of})).scalar_one_or_none()
    return versions_from(row, as_of)


def versions_from(row: str | None, as_of: datetime) -> Versions:
    """Return the versions in a row of VERSIONS_SQL as JSON text.

    Raises:
        TenantNotFound: there is no row.
    """
    if row is None:
        raise TenantNotFound("The tenant of this transaction does not exist any more.")
    found = orjson.loads(row)
    until = found["trained_until"]
    too_new = until is not None and datetime.fromisoformat(until) > as_of
    return Versions(
        rule_set_digest=found["rule_set_digest"],
        model_digest=None if too_new else found["model_digest"],
        model_too_new=too_new,
        policy_state_version=found["policy_version"],
        settings_json=found["settings_json"],
        tenant_name=found["tenant_name"],
        industry=found["industry"],
        experiments=tuple(
            (name, action, tuple(arms)) for name, action, arms in found["experiments"] or ()
        ),
        policy_digest=found["policy_digest"],
        shipped_digest=found["shipped_digest"],
        health_json=found["health_json"],
    )


async def find_rules_digest(connection: AsyncConnection) -> str | None:
    """Return the digest of the newest release of rules, None before the first."""
    found: str | None = await connection.scalar(
        text("SELECT digest FROM keepwell.rule_releases ORDER BY number DESC LIMIT 1")
    )
    return found


async def find_model(connection: AsyncConnection, digest: str) -> bytes | None:
    """Return a model's artefact, or None."""
    found = await connection.scalar(
        text("SELECT artefact FROM keepwell.models WHERE digest = :d"), {"d": digest}
    )
    return None if found is None else bytes(found)


async def find_policy_state(connection: AsyncConnection, version: int) -> str | None:
    """Return a bandit state as JSON text, or None."""
    found: str | None = await connection.scalar(
        text(
            "SELECT state FROM keepwell.policy_states "
            "WHERE policy = 'treatment' AND version = :version"
        ),
        {"version": version},
    )
    return found
