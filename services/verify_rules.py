"""Evaluate rules for a sample of contacts in every way there is; stop the rules that differ.

A decision for one contact and the nightly batch go different ways to the same features, and
through different matchers. Tests hold them equal; this watches them on the tenant's own contacts.
"""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
import orjson
import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, mixed, salt
from engine.errors import ContactNotFound
from engine.features.spec import Feature, Scalar
from engine.features.subjects import subject_columns, subjects_of
from engine.ids import ContactId, TenantId
from engine.profile import Profile
from rules.agreement import Difference, Sampled, differences
from services.attributes import attribute_values
from services.contact_history import known_of
from services.decision_rows import digest_of
from services.evaluate import columns_of, estimate_hazards, health_columns, with_health
from services.halt_rules import halt_rules
from services.playbook import Playbook, playbook_at
from services.profiles import all_profiles, one_profile, zoned
from services.wiring import Runtime
from store.audit import AuditLine, add_audit
from store.decisions import finish_run
from store.due_checks import find_rules_digest
from store.leases import get_moment
from store.profiles import get_profile_row, list_contacts, list_events
from store.verifications import begin_verification

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
        if not await begin_verification(connection, tenant_id, run_id, now):
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
    profiles, _, frame = await all_profiles(connection, playbook, as_of)
    chosen = _chosen([profile.contact_id for profile in profiles], as_of, sample)
    alone, kept = [], []
    for position in chosen:
        with suppress(ContactNotFound):  # deleted since the batch was read
            contact_id = ContactId(UUID(profiles[position].contact_id))
            alone.append(await _alone(connection, playbook, contact_id, as_of))
            kept.append(position)
    together = frame[kept]
    together = with_health(together, health_columns(estimate_hazards(playbook, together)))
    found = differences(playbook.rules, alone, together)
    if not playbook.rules.kinds:
        return _Compared(len(alone), 0, found)
    subjects, more = await _compare_subjects(connection, playbook, alone, together, as_of)
    return _Compared(len(alone), subjects, [*found, *more])


def _run_id(tenant_id: TenantId, day: str) -> UUID:
    return UUID(digest_of([str(tenant_id), day, "verify"])[:32])


def _chosen(contact_ids: Sequence[str], as_of: datetime, sample: int) -> list[int]:
    """Positions of the sample, ascending."""
    drawn = mixed(contact_keys(contact_ids), salt("verify", as_of.date().isoformat()))
    return sorted(int(position) for position in np.argsort(drawn, kind="stable")[:sample])


async def _alone(
    connection: AsyncConnection, playbook: Playbook, contact_id: ContactId, as_of: datetime
) -> Sampled:
    profile, _ = await one_profile(connection, playbook, contact_id, as_of)
    return Sampled(profile.contact_id, {**profile.row, **_health(playbook, profile)})


def _health(playbook: Playbook, profile: Profile) -> dict[str, Scalar]:
    hazards = estimate_hazards(playbook, columns_of([profile], playbook))
    return {name: float(values[0]) for name, values in health_columns(hazards).items()}


async def _compare_subjects(
    connection: AsyncConnection,
    playbook: Playbook,
    owners: Sequence[Sampled],
    contacts: pl.DataFrame,
    as_of: datetime,
) -> tuple[int, list[Difference]]:
    """How many open subjects the contacts have, and the differences of rules about them."""
    rules = playbook.rules
    alone: dict[str, list[Sampled]] = {kind: [] for kind in rules.kinds}
    for owner in owners:
        row = await get_profile_row(connection, ContactId(UUID(owner.contact_id)), as_of)
        known = known_of(playbook, row)
        for each in subjects_of(
            known.events, rules.subject_kinds, rules.features,
            as_of=as_of, zone=known.zone, attributes=known.attributes,
        ):  # fmt: skip
            both = {**owner.row, **each.row}
            alone[each.kind].append(Sampled(owner.contact_id, both, each.subject))
    tables = await _tables(connection, playbook, contacts["contact_id"], as_of)
    found: list[Difference] = []
    for kind, listed in alone.items():
        order = pl.DataFrame(
            {
                "contact_id": pl.Series([each.contact_id for each in listed], dtype=pl.String),
                "subject": pl.Series([each.subject for each in listed], dtype=pl.String),
            }
        )
        # an open subject that the batch has not seen is a row of nulls here
        frame = order.join(contacts, on="contact_id", how="left", maintain_order="left").join(
            tables[kind], on=["contact_id", "subject"], how="left", maintain_order="left"
        )
        found += differences(rules, listed, frame, kind)
    return sum(map(len, alone.values())), found


async def _tables(
    connection: AsyncConnection, playbook: Playbook, contact_ids: pl.Series, as_of: datetime
) -> Mapping[str, pl.DataFrame]:
    kinds = playbook.rules.subject_kinds
    types = {name for kind in kinds for name in (*kind.opened_by, *kind.closed_by)}
    listed = [*playbook.event_types, *sorted(types - set(playbook.event_types))]
    sampled = pl.col("contact_id").is_in(contact_ids.implode())
    contacts = (await list_contacts(connection, as_of)).filter(sampled)
    events = (await list_events(connection, as_of, listed)).filter(sampled)
    specs = playbook.rules.features
    numbers = _numbers(playbook, contacts, specs)
    known = zoned(contacts, playbook.settings.time_zone).with_columns(numbers)
    return subject_columns(known, events, kinds, specs, as_of=as_of)


def _numbers(
    playbook: Playbook, contacts: pl.DataFrame, specs: Sequence[Feature]
) -> list[pl.Series]:
    """The contacts' own intervals of recalls: all that subjects read of their contacts."""
    keys = {spec.attribute for spec in specs if spec.kind == "days_until_recall"}
    wanted = [each for each in playbook.attributes if each.key in keys and each.type == "number"]
    values = [
        attribute_values(wanted, row, orjson.loads(row["custom_fields"]))
        for row in contacts.iter_rows(named=True)
    ]
    return [
        pl.Series(each.key, [row[each.key] for row in values], dtype=pl.Float64) for each in wanted
    ]


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
