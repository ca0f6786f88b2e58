"""What a change of rules means for a tenant's contacts: gained, lost, and how many in a week."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, salt, uniform
from engine.ids import TenantId
from rules.differences import Differences, differences
from rules.document import RuleSet
from services.decide import checked_as_of
from services.release_rules import grows_beyond
from services.rule_texts import RuleTexts, flat_texts, parse_texts
from services.rule_volume import ACTING, Weekly, weekly_contacts, weekly_volume
from services.rules_in_force import RuleSetNotFound, contents_of
from services.tenant_settings import parse_second_person
from services.wiring import Runtime
from store.releases import find_release
from store.tenants import get_settings

_SAMPLES = 10


async def compare_rules(
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    old: RuleSet,
    new: RuleSet,
    *,
    as_of: datetime | None = None,
) -> dict[str, Any]:
    """Return what changed in meaning, and whom it gains and loses in the week up to `as_of`.

    Live and shadow rules count alike, as if all were live. `second_person` tells whether the growth
    is above the tenant's bound. Of large tenants a sample is looked at; counts are of all contacts,
    samples of ids are real ones.

    Raises:
        InvalidInput: `as_of` lies in the future, or before 1970.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    meaning = differences(old, new)
    before = await weekly_contacts(connection, tenant_id, moment, old, ACTING)
    after = await weekly_contacts(connection, tenant_id, moment, new, ACTING)
    volume = weekly_volume(before, after)
    bound = parse_second_person(await get_settings(connection, tenant_id))
    gained, lost = after.contacts - before.contacts, before.contacts - after.contacts
    return {
        "as_of": moment.isoformat(),
        "meaning": asdict(meaning),
        "lines": meaning.lines,
        "contacts_looked_at": after.looked,
        "contacts_in_all": after.total,
        "gained": _group(gained, after),
        "lost": _group(lost, before),
        "rules": _by_rule(meaning, before, after),
        "contacts_a_week": asdict(volume),
        "second_person": {
            "needed": grows_beyond(volume, bound),
            "above_share": bound.above_share,
            "above_contacts": bound.above_contacts,
        },
    }


async def file_in_force(connection: AsyncConnection, name: str) -> RuleSet:
    """Return the rules file of this name that is in force, as it was published.

    Raises:
        RuleSetNotFound: there is none; names those there are.
    """
    release = await find_release(connection)
    files = () if release is None else (await contents_of(connection, release)).files
    for file in files:
        if name in {file.name, file.name.rpartition("/")[2]}:
            return parse_texts(file.texts)
    known = ", ".join(file.name for file in files)
    raise RuleSetNotFound(
        f"No file '{name}' is in force.", hint=f"In force: {known}" if known else "None is."
    )


def parsed(texts: RuleTexts) -> RuleSet:
    """Return the rules of a file that was sent along.

    Raises:
        InvalidRules: with all findings.
    """
    return parse_texts(flat_texts(texts))


def _by_rule(meaning: Differences, before: Weekly, after: Weekly) -> list[dict[str, Any]]:
    """Rules that propose to other contacts than before; a renamed rule goes on under its new id."""
    renamed = {each.rule_id: each.old_id for each in meaning.rules if each.old_id}
    ids = [*after.by_rule, *(i for i in before.by_rule if i not in after.by_rule)]
    gone = {old for new, old in renamed.items() if new != old}
    listed = []
    for rule_id in ids:
        if rule_id in gone:
            continue
        old = frozenset(before.by_rule.get(renamed.get(rule_id, rule_id), ()))
        new = frozenset(after.by_rule.get(rule_id, ()))
        if old != new:
            listed.append(
                {
                    "rule": rule_id,
                    "before": round(before.scaled(len(old))),
                    "after": round(after.scaled(len(new))),
                    "gained": _group(new - old, after),
                    "lost": _group(old - new, before),
                }
            )
    return listed


def _group(contacts: Collection[str], weekly: Weekly) -> dict[str, Any]:
    ids = pl.Series("id", sorted(contacts), dtype=pl.String)
    order = pl.Series(uniform(contact_keys(ids), salt("samples of a difference")))
    drawn = ids.to_frame().sort(order)["id"].head(_SAMPLES)
    return {"contacts": round(weekly.scaled(len(ids))), "samples": drawn.to_list()}
