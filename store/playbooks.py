"""Rule sets, models and bandit states of a tenant: every version kept, one of each in force."""

from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import TenantNotFound
from engine.ids import TenantId
from store.crm_access import THIS_TENANT


@dataclass(frozen=True, slots=True)
class Versions:
    """What is in force for a decision at a moment.

    Attributes:
        rule_set_digest: of the live rule set; None without one.
        model_digest: champion trained on data up to as_of at the latest; None without one.
        model_too_new: a champion exists but has seen data after as_of.
        policy_state_version: newest bandit state learnt by as_of; 0 for the prior.
        settings_json: the tenant's settings as JSON text.
        tenant_name: for messages.
        industry: e.g. healthcare; None if unset.
    """

    rule_set_digest: str | None
    model_digest: str | None
    model_too_new: bool
    policy_state_version: int
    settings_json: str
    tenant_name: str
    industry: str | None


# one row
VERSIONS_SQL = f"""
  SELECT
    (SELECT digest FROM keepwell.rule_sets
      WHERE status = 'live' ORDER BY created_at DESC, name LIMIT 1) AS rule_set_digest,
    m.digest AS model_digest, m.trained_until,
    coalesce((SELECT max(version) FROM keepwell.policy_states
               WHERE policy = 'treatment' AND effective_at <= :as_of), 0) AS policy_version,
    coalesce((SELECT settings::text FROM keepwell.tenant_settings), '{{}}') AS settings_json,
    t.name AS tenant_name, t.industry
  FROM tenants t
  LEFT JOIN keepwell.models m ON m.status = 'champion' AND m.kind = 'hazard'
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
    )


async def find_rule_set(connection: AsyncConnection, digest: str) -> tuple[str, str] | None:
    """Return a rule set's document and vocabulary as text, or None."""
    row = (
        await connection.execute(
            text("SELECT document, vocabulary FROM keepwell.rule_sets WHERE digest = :d LIMIT 1"),
            {"d": digest},
        )
    ).one_or_none()
    return None if row is None else (row[0], row[1])


@dataclass(frozen=True, slots=True)
class NewRuleSet:
    """A checked rule set about to go live; texts as uploaded."""

    name: str
    digest: str
    document: str
    vocabulary: str
    created_by: str


async def add_live_rule_set(
    connection: AsyncConnection, tenant_id: TenantId, rule_set: NewRuleSet
) -> int:
    """Make this the live version, retiring the one before; return its number.

    The digest that is live already is no new version. Every version is kept. One at a time per
    tenant: the first decisions of a tenant come together and all want to make its first version.
    """
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('rules ' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )
    known = await connection.scalar(
        text("SELECT version FROM keepwell.rule_sets WHERE digest = :d AND status = 'live'"),
        {"d": rule_set.digest},
    )
    if known is not None:
        return int(known)
    await connection.execute(
        text("UPDATE keepwell.rule_sets SET status = 'retired' WHERE status = 'live'")
    )
    version = await connection.scalar(
        text(
            "INSERT INTO keepwell.rule_sets "
            "(tenant_id, name, version, digest, status, document, vocabulary, created_by) "
            "SELECT :tenant, :name, coalesce(max(version), 0) + 1, :digest, 'live', :document, "
            ":vocabulary, :by FROM keepwell.rule_sets WHERE name = :name RETURNING version"
        ),
        {
            "tenant": tenant_id,
            "name": rule_set.name,
            "digest": rule_set.digest,
            "document": rule_set.document,
            "vocabulary": rule_set.vocabulary,
            "by": rule_set.created_by,
        },
    )
    return int(version or 0)


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
