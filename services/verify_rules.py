"""Evaluate rules for a sample of contacts in every way there is; stop the rules that differ.

A decision for one contact and the nightly batch go different ways to the same features, and
through different matchers. Tests hold them equal; this watches them on the tenant's own contacts.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, mixed, salt
from engine.errors import ContactNotFound
from engine.features.spec import Scalar
from engine.ids import ContactId, TenantId
from engine.profile import Profile
from rules.agreement import Difference, Sampled, differences
from services.decision_rows import digest_of
from services.evaluate import (
    columns_of,
    health_columns,
    score_before,
    with_health,
)
from services.halt_rules import halt_rules
from services.health_estimate import estimate_health
from services.playbook import Playbook, playbook_at
from services.profiles import one_profile, some_profiles
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.decisions import finish_run
from store.due_checks import find_rules_digest
from store.leases import get_moment
from store.nights import begin_night_job
from store.profiles import list_contact_ids

log = logging.getLogger(__name__)

BY = "keepwell: verification"
SAMPLE = 1000


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification found.

    Attributes:
        as_of: UTC.
        contacts: sampled.
        subjects: open ones of these contacts that rules are about.
        rules: live and shadow ones, each evaluated in every way.
        differences: one per rule that differs; hold values of contacts.
        halted: rules that were live and are shadow now.
    """

    as_of: datetime
    contacts: int
    subjects: int
    rules: int
    differences: tuple[Difference, ...]
    halted: tuple[str, ...]


async def verify_tonight(runtime: Runtime, tenant_id: TenantId) -> Verification | None:
    """Verify a tenant's rules once a day (UTC), in a transaction of its own.

    None if that was done today, somebody is at it, or the tenant has no rules yet.
    """
    async with runtime.database.transaction(tenant_id) as connection:
        if await find_rules_digest(connection) is None:
            return None
        now = await get_moment(connection)
        run_id = _run_id(tenant_id, now.date().isoformat())
        if not await begin_night_job(connection, tenant_id, run_id, "verify", now):
            return None
        found = await verify_rules(connection, tenant_id, as_of=now)
        counts = {
            "contacts": found.contacts,
            "subjects": found.subjects,
            "rules": found.rules,
            "differences": len(found.differences),
        }
        await finish_run(connection, run_id, counts)
    for difference in found.differences:
        # no values: they are a person's; 'keepwell rules verify' shows them
        log.error(
            "tenant %s: rule %s halted: %s differs for %s",
            tenant_id, difference.rule_id, difference.what, difference.name,
        )  # fmt: skip
    return found


async def verify_rules(
    connection: AsyncConnection, tenant_id: TenantId, *, as_of: datetime, sample: int = SAMPLE
) -> Verification:
    """Verify the rules in force on up to `sample` contacts; halt live rules that differ.

    The sample is drawn by the date: the same all day, another one tomorrow. A difference stands in
    the audit trail and in the reason of the new release with rule, contact and feature, without
    the values.
    """
    playbook = await playbook_at(connection, tenant_id, as_of)
    compared = await _compare(connection, playbook, as_of, sample)
    if compared.differences:
        # The contact's own row may have been changed between the two readings: a fault stays.
        compared = await _compare(connection, playbook, as_of, sample)
    halted = await _halt(connection, tenant_id, playbook, compared.differences)
    return Verification(
        as_of,
        compared.contacts,
        compared.subjects,
        len(playbook.rules.rules),
        tuple(compared.differences),
        halted,
    )


@dataclass(frozen=True, slots=True)
class _Compared:
    contacts: int
    subjects: int
    differences: list[Difference]


async def _compare(
    connection: AsyncConnection, playbook: Playbook, as_of: datetime, sample: int
) -> _Compared:
    everybody = await list_contact_ids(connection, as_of)
    chosen = everybody[_chosen(everybody["contact_id"].to_list(), as_of, sample)]
    homes = pl.col("account_id").is_in(chosen["account_id"].drop_nulls().unique().implode())
    # of an account all members: rules may count them
    ids = pl.concat([chosen, everybody.filter(homes)])["contact_id"].unique()
    part = await some_profiles(connection, playbook, as_of, ids.to_list())
    alone, subjects = [], []
    for contact_id in chosen["contact_id"]:
        with suppress(ContactNotFound):  # deleted since the batch was read
            owner, own = await _alone(connection, playbook, ContactId(UUID(contact_id)), as_of)
            alone.append(owner)
            subjects += own
    estimate = estimate_health(playbook, part.tables.contacts)
    before = score_before([profile.row for profile in part.profiles])
    contacts = with_health(part.tables.contacts, health_columns(estimate, before))
    order = pl.Series("contact_id", [each.contact_id for each in alone], dtype=pl.String)
    together = pl.DataFrame([order]).join(
        contacts, on="contact_id", how="left", maintain_order="left"
    )
    found = differences(playbook.rules, alone, together)
    for kind, table in part.tables.subjects.items():
        listed = [each.sampled for each in subjects if each.kind == kind]
        found += differences(playbook.rules, listed, _beside(listed, contacts, table), kind)
    return _Compared(len(alone), len(subjects), found)


@dataclass(frozen=True, slots=True)
class _Subject:
    kind: str
    sampled: Sampled


def _beside(listed: Sequence[Sampled], contacts: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    """What the batch has of these subjects; a row of nulls for one that it has not seen as open."""
    order = pl.DataFrame(
        {
            "contact_id": pl.Series([each.contact_id for each in listed], dtype=pl.String),
            "subject": pl.Series([each.subject for each in listed], dtype=pl.String),
        }
    )
    return order.join(contacts, on="contact_id", how="left", maintain_order="left").join(
        table, on=["contact_id", "subject"], how="left", maintain_order="left"
    )


def _run_id(tenant_id: TenantId, day: str) -> UUID:
    return UUID(digest_of([str(tenant_id), day, "verify"])[:32])


def _chosen(contact_ids: Sequence[str], as_of: datetime, sample: int) -> list[int]:
    """Positions of the sample, ascending."""
    drawn = mixed(contact_keys(contact_ids), salt("verify", as_of.date().isoformat()))
    return sorted(int(position) for position in np.argsort(drawn, kind="stable")[:sample])


async def _alone(
    connection: AsyncConnection, playbook: Playbook, contact_id: ContactId, as_of: datetime
) -> tuple[Sampled, list[_Subject]]:
    profile, _ = await one_profile(connection, playbook, contact_id, as_of)
    owner = Sampled(profile.contact_id, {**profile.row, **_health(playbook, profile)})
    return owner, [
        _Subject(s.kind, Sampled(profile.contact_id, {**owner.row, **s.row}, s.subject))
        for s in profile.subjects
    ]


def _health(playbook: Playbook, profile: Profile) -> dict[str, Scalar]:
    estimate = estimate_health(playbook, columns_of([profile], playbook))
    columns = health_columns(estimate, score_before([profile.row]))
    return {name: float(values[0]) for name, values in columns.items()}


async def _halt(
    connection: AsyncConnection,
    tenant_id: TenantId,
    playbook: Playbook,
    found: Sequence[Difference],
) -> tuple[str, ...]:
    reasons = {
        each.rule_id: f"evaluated in two ways, {each.what} differs for {each.name}"
        for each in found
    }
    for rule_id, reason in reasons.items():
        line = AuditLine(BY, "differs", "rule", rule_id, {"why": reason})
        await add_audit(connection, tenant_id, line)
    live = tuple(
        rule.id for rule in playbook.rules.rules if rule.id in reasons and rule.status == "live"
    )
    if live:
        await halt_rules(connection, tenant_id, {rule: reasons[rule] for rule in live}, BY)
    return live
