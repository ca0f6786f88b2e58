"""Audit a tenant: did any stored decision or message ever break the policy?

Judged by raw rows and the numbers in force at the time, in code of its own: what decides and what
sends is not asked.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from engine.profile import ANSWERS
from rules.us_regions import atlas
from services import audit_checks as checks
from services import audit_people as people
from services.audit_checks import AuditFinding
from services.audit_hours import Atlas, places, with_local_time
from services.tenant_settings import parse_settings
from services.wiring import Runtime
from store import audit_rows
from store.audit import AuditLine, add_audit
from store.audit_findings import add_new_findings
from store.decisions import finish_run
from store.leases import get_moment
from store.nights import begin_night_job
from store.notifications import notify_people
from store.playbooks import get_versions

log = logging.getLogger(__name__)

KINDS = (
    *("consent", "quiet_hours", "frequency_cap", "budget", "holdout", "double_send"),
    *("household", "rest", "length"),
)
_KIND = "audit"
_NIGHTLY_DAYS = 95  # what a rest looks back on, thirty days and sixty, and some days more
_MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit looked at and found.

    Attributes:
        since: messages and decisions before it were not judged.
    """

    since: datetime
    decisions: int
    messages: int
    findings: tuple[AuditFinding, ...]

    def as_document(self) -> dict[str, Any]:
        """Plain values."""
        counts = Counter(finding.kind for finding in self.findings)
        return {
            "since": self.since.isoformat(),
            "decisions": self.decisions,
            "messages": self.messages,
            "violations": {kind: counts[kind] for kind in KINDS},
            "findings": [finding._asdict() for finding in self.findings],
        }


async def audit_policy(
    connection: AsyncConnection, tenant_id: TenantId, *, since: datetime | None = None
) -> Audited:
    """Judge every decision and message since a moment, all for None.

    A message is judged by what held when its last attempt began: consent, the contact's local
    time, everything that had left before. The CRM keeps no history of addresses and flags: they
    count as they are today, flags not at all.
    """
    begin = since or datetime(1970, 1, 2, tzinfo=UTC)
    versions = await get_versions(connection, await get_moment(connection))
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    numbers = await audit_rows.list_numbers(connection)
    known = atlas()
    told: Atlas = (known.zones, known.names, known.codes)
    messages = places(await audit_rows.list_messages(connection, begin), settings.time_zone, told)
    choices = places(await audit_rows.list_choices(connection, begin), settings.time_zone, told)
    policies = {row["digest"]: orjson.loads(row["numbers"]) for row in numbers.to_dicts()}
    messages = _with_policy(_in_force(messages, numbers, "left_at"), policies)
    choices = _with_policy(choices, policies)
    sent_local = with_local_time(messages, "left_at")
    planned = with_local_time(choices.filter(pl.col("leaves_at").is_not_null()), "leaves_at")
    ledger = await audit_rows.list_ledger(connection)
    tenant, implied = str(tenant_id), settings.implied_consent
    findings = [
        *checks.unconsented(messages, "left_at", ledger, implied),
        *checks.unconsented(choices, "at", ledger, implied),
        *checks.in_quiet_hours(sent_local, "left"),
        *checks.in_quiet_hours(planned, "planned"),
        *checks.over_caps(messages),
        *checks.overspent(
            await audit_rows.list_reservations(connection),
            await audit_rows.list_balances(connection),
            messages,
        ),
        *checks.held_out(messages, "left_at", tenant, what="message"),
        *checks.held_out(choices, "at", tenant, what="decision"),
        *checks.doubled(sent_local),
        *people.doubled_in_household(messages),
        *people.unrested(messages, await audit_rows.list_answers(connection, ANSWERS)),
        *people.too_long(messages),
    ]
    return Audited(begin, choices.height, messages.height, tuple(findings))


def _in_force(rows: pl.DataFrame, numbers: pl.DataFrame, moment: str) -> pl.DataFrame:
    """The rows with the digest of the numbers in force; before the first version, the first."""
    if numbers.is_empty() or rows.is_empty():
        return rows.with_columns(policy_digest=pl.lit(None, pl.String))
    first = numbers["digest"][0]
    since = numbers.select("at", policy_digest="digest").sort("at")
    joined = rows.sort(moment).join_asof(since, left_on=moment, right_on="at", strategy="backward")
    return joined.with_columns(pl.col("policy_digest").fill_null(first))


def _with_policy(rows: pl.DataFrame, policies: dict[str, Any]) -> pl.DataFrame:
    """The rows whose numbers are stored, with them; older ones can't be judged by numbers."""
    judged = rows.filter(pl.col("policy_digest").is_in(list(policies)))
    found = [policies[digest] for digest in judged["policy_digest"]]
    return judged.with_columns(policy=pl.Series(found, dtype=pl.Object))


async def tell_people(connection: AsyncConnection, tenant_id: TenantId, audited: Audited) -> int:
    """Notify owners and admins of violations that no audit had found before; return how many.

    The notification names kinds and ids, and nobody.
    """
    by_id = {(finding.kind, finding.id): finding for finding in audited.findings}
    new = await add_new_findings(connection, tenant_id, by_id)
    if not new:
        return 0
    counts = Counter(kind for kind, _ in new)
    told = [f"{count} x {kind}" for kind, count in counts.most_common()]
    listed = [f"{kind}: {entity_id}" for kind, entity_id in sorted(new)[:_MOST_TOLD]]
    await notify_people(
        connection,
        "Messages broke the policy",
        "\n".join([", ".join(told), *listed, "'keepwell audit' shows all of them in words."]),
        "audit",
    )
    return len(new)


async def audit_tonight(runtime: Runtime, tenant_id: TenantId) -> Audited | None:
    """Audit the last weeks once a day (UTC); None if that was done or somebody is at it.

    Violations are logged as errors and noted in the audit trail, with ids and without personal
    data; new ones are told to the tenant's owners and admins.
    """
    async with runtime.database.transaction(tenant_id) as connection:
        now = await get_moment(connection)
        run_id = uuid5(UUID(str(tenant_id)), f"{_KIND} {now.date().isoformat()}")
        if not await begin_night_job(connection, tenant_id, run_id, _KIND, now):
            return None
        audited = await audit_policy(
            connection, tenant_id, since=now - timedelta(days=_NIGHTLY_DAYS)
        )
        counts = Counter(finding.kind for finding in audited.findings)
        looked = {"decisions": audited.decisions, "messages": audited.messages}
        by_kind = {kind: counts[kind] for kind in KINDS}
        await finish_run(connection, run_id, looked | by_kind)
        if audited.findings:
            line = AuditLine("keepwell", "audit.violations", "run", str(run_id), by_kind)
            await add_audit(connection, tenant_id, line)
            await tell_people(connection, tenant_id, audited)
    for finding in audited.findings:
        log.error("tenant %s: %s broken by %s: %s", tenant_id, finding.kind, finding.id,
                  finding.detail)  # fmt: skip
    return audited
