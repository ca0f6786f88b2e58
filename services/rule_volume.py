"""How many contacts rules propose something for in a week, on the tenant's own data as of now."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from engine.proportion import wilson
from rules.document import Rule, RuleSet
from services.past_nights import PastNights, nights_between, past_nights, rule_spells
from services.playbook import Playbook
from services.release_rules import Estimate, WeeklyVolume
from services.rules_on_trial import playbook_of_rules
from services.wiring import Runtime
from store.profiles import list_sends

_WEEK_DAYS = 7
_MOST_CONTACTS = 20_000  # a share is then known to within 0.7 points
_US = pl.Datetime("us", "UTC")
LIVE: frozenset[str] = frozenset({"live"})
ACTING: frozenset[str] = frozenset({"live", "shadow"})


@dataclass(frozen=True, slots=True)
class Weekly:
    """Contacts that rules propose something for in the seven nights up to a moment.

    Attributes:
        by_rule: ids of contacts looked at, by rule; rules that propose nothing are there too.
        looked: contacts looked at.
        total: contacts of the tenant; more than `looked` if that is a sample.
    """

    by_rule: Mapping[str, Collection[str]]
    looked: int
    total: int

    @property
    def contacts(self) -> frozenset[str]:
        """Whom any rule proposes something for, among those looked at."""
        return frozenset().union(*self.by_rule.values())

    def scaled(self, counted: int) -> float:
        """A count among those looked at as one among all."""
        return counted * self.total / self.looked if self.looked else 0.0

    def interval(self, counted: int) -> tuple[float, float]:
        """95 % interval of `scaled`; exact without a sample."""
        found = wilson(counted, self.looked)
        if self.looked == self.total or found is None:
            return self.scaled(counted), self.scaled(counted)
        return found[0] * self.total, found[1] * self.total


async def weekly_contacts(
    connection: AsyncConnection,
    tenant_id: TenantId,
    as_of: datetime,
    rules: RuleSet,
    statuses: Collection[str] = LIVE,
) -> Weekly:
    """Return whom the rules of these statuses propose something for in a week.

    Each of the seven nights up to `as_of` counts with what was known then. A contact that an action
    reached within its cooldown is left out, so a rule at work counts with its stream, a new one
    with everybody it would start with. Of large tenants a sample is looked at, the same each time.
    """
    playbook = await playbook_of_rules(connection, tenant_id, as_of, rules)
    nights = _week(playbook, as_of)
    known = await past_nights(connection, playbook, nights, most_contacts=_MOST_CONTACTS)
    sends = await list_sends(connection, as_of)
    asked = [rule for rule in playbook.rules.rules if rule.status in statuses]
    found = await asyncio.to_thread(
        lambda: {rule.id: _proposed(known, rule, sends) for rule in asked}
    )
    return Weekly(found, known.contacts, known.total)


def _week(playbook: Playbook, as_of: datetime) -> list[datetime]:
    day = as_of.date()
    nights = nights_between(
        day - timedelta(days=_WEEK_DAYS + 1), day + timedelta(days=1), playbook.settings.time_zone
    )
    return [night for night in nights if night <= as_of][-_WEEK_DAYS:]


def _proposed(known: PastNights, rule: Rule, sends: pl.DataFrame) -> frozenset[str]:
    """Ids of contacts for whom the rule applies on a night after its cooldown."""
    spells, share = rule_spells(known, rule.id)
    assert share == 1.0  # noqa: S101 - a week of the most contacts is below the limit of pairs
    rested = (
        sends.filter(pl.col("action") == rule.then.action)
        .group_by("contact_id")
        .agg(until=pl.col("at_us").max() + rule.cooldown_days * 86_400_000_000)
        .rename({"until": "rests_until"})
    )
    at = pl.Series(known.past.nights, dtype=_US).dt.epoch("us")
    last = spells.with_columns(last=at.gather(spells["until"] - 1)).join(
        rested, on="contact_id", how="left"
    )
    free = (pl.col("rests_until") <= pl.col("last")).fill_null(value=True)
    return frozenset(last.filter(free)["contact_id"])


def volume_estimate(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> Estimate:
    """Return the estimate that `publish_rules` asks for, of live rules, on the data as of now."""

    async def estimate(before: RuleSet | None, after: RuleSet) -> WeeklyVolume:
        now = runtime.clock.now()
        new = await weekly_contacts(connection, tenant_id, now, after)
        old = None
        if before is not None:
            old = await weekly_contacts(connection, tenant_id, now, before)
        return weekly_volume(old, new)

    return estimate


def weekly_volume(old: Weekly | None, new: Weekly) -> WeeklyVolume:
    """Return the two as the release's check takes them, with the interval if it is a sample."""
    before = 0.0 if old is None else old.scaled(len(old.contacts))
    note = ""
    if new.looked < new.total:
        low, high = new.interval(len(new.contacts))
        note = (
            f"from a sample of {new.looked:,} of {new.total:,} contacts; "
            f"95 % interval {low:,.0f} to {high:,.0f}"
        )
    return WeeklyVolume(round(before, 1), round(new.scaled(len(new.contacts)), 1), note)
