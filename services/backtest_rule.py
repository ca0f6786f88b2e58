"""Try a rule on past nights, each with only what was known then, and tell what would have come."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import fmean
from typing import Any

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, salt, uniform
from engine.errors import InvalidInput
from engine.features.spec import CONTACT
from engine.ids import TenantId
from engine.policy.quiet_hours import zone_or_utc
from engine.proportion import wilson
from rules.document import Rule
from rules.meaning import rule_meaning
from rules.occasions import occasions
from services.decide import checked_as_of
from services.past_nights import (
    PastNights,
    features_at,
    nights_between,
    past_nights,
    rule_spells,
)
from services.rule_reach import NO_CONSENT, UNREACHABLE, first_channels
from services.rule_texts import RuleTexts
from services.rules_on_trial import Trial, playbook_of_rules, trial_of
from services.wiring import Runtime
from store.releases import Backtest, record_backtest
from store.rule_history import find_newest_event, list_consent_history

LONGEST_DAYS = 3 * 366
_SAMPLES = 10
_MOST_OVERLAPS = 20_000  # proposals for which the other rules are asked too
_US = pl.Datetime("us", "UTC")
_BASE_RATE = (
    "A base rate: what contacts did after nights on which the rule would have proposed, with "
    "whatever was done then. It says nothing about what a message would change."
)

# done and total contacts
Advance = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Period:
    """Nights of a backtest: those of the days from `first` to `last`, both included.

    Raises:
        InvalidInput: it ends before it begins, or is longer than three years.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        """Refuse what can't be looked at."""
        if self.last < self.first:
            raise InvalidInput(
                f"The period ends on {self.last}, before it begins on {self.first}.",
                hint="Exchange --from and --to.",
            )
        if (self.last - self.first).days >= LONGEST_DAYS:
            raise InvalidInput(
                f"From {self.first} to {self.last} is more than three years.",
                hint="Look at a shorter time; a year shows all seasons.",
            )


async def backtest_rule(  # noqa: PLR0913 - what a request carries
    connection: AsyncConnection,
    runtime: Runtime,
    tenant_id: TenantId,
    rule_id: str,
    period: Period,
    *,
    as_of: datetime | None = None,
    file: RuleTexts | None = None,
    by: str = "keepwell rules backtest",
    advance: Advance | None = None,
) -> dict[str, Any]:
    """Return what a rule would have proposed, and record it so that it may be promoted.

    Each night looks at the contacts that existed, with what had happened and was known; only a
    contact's own row counts as it is today. The rule's own cooldown is kept; other messages, caps
    and quiet hours are not played through. See `docs/rule-tools.md` for the figures.

    Raises:
        RuleNotFound: there is no such rule.
        InvalidInput: nights of the period are still to come at `as_of`.
        InvalidRules: the file has faults, or contradicts the other rules in force.
    """
    moment = checked_as_of(as_of, runtime.clock.now())
    trial = await trial_of(connection, tenant_id, moment, file=file, rule_id=rule_id)
    rule = trial.rule(rule_id)
    nights = nights_between(period.first, period.last, trial.playbook.settings.time_zone)
    if nights[-1] > moment:
        raise InvalidInput(
            f"The night of {period.last} has not been yet.", hint="Choose an earlier --to."
        )
    # health is judged with what there was before the first night
    playbook = await playbook_of_rules(
        connection, tenant_id, nights[0], trial.playbook.rules.rule_set
    )
    goal = trial.rule_set.vocabulary.types(rule.then.goal.event)
    known = await past_nights(connection, playbook, nights, also=goal, until=moment)
    ledger = await list_consent_history(connection, rule.then.purpose, nights[-1])
    observed = await find_newest_event(connection, moment)
    view = _View(trial, rule, known, observed or nights[-1])
    found = await asyncio.to_thread(view.proposals, advance)
    told = await asyncio.to_thread(view.told, found, ledger)
    meaning = rule_meaning(rule, trial.rule_set.vocabulary)
    kept = {name: value for name, value in told.items() if name != "samples"}
    await record_backtest(
        connection,
        tenant_id,
        Backtest(rule_id, meaning, nights[0], nights[-1] + timedelta(days=1), by, kept),
    )
    return {
        "rule": rule_id,
        "status": rule.status,
        "source": trial.source,
        "meaning": meaning,
        "from": period.first.isoformat(),
        "to": period.last.isoformat(),
        **told,
    }


@dataclass(frozen=True)
class _Found:
    """Proposals (contact_id, subject, night, at: Datetime UTC), and what the cooldown kept back."""

    proposals: pl.DataFrame
    kept_back: int
    share: float


@dataclass(frozen=True)
class _View:
    """One rule, the nights it is tried on, and until when anything was observed."""

    trial: Trial
    rule: Rule
    nights: PastNights
    observed_until: datetime

    def proposals(self, advance: Advance | None) -> _Found:
        rows: list[tuple[str, str | None, int]] = []
        kept_back, done, looked, share = 0, 0, 0.0, 1.0
        for chunk in self.nights.chunks():
            found, share = rule_spells(chunk, self.rule.id)
            let = occasions(found.iter_rows(), self.rule.cooldown_days)
            rows += let.proposals
            kept_back += len(let.kept_back)
            done += chunk.contacts
            looked += chunk.contacts * share
            if advance is not None:
                advance(done, self.nights.contacts)
        frame = pl.DataFrame(
            rows,
            schema={"contact_id": pl.String, "subject": pl.String, "night": pl.Int64},
            orient="row",
        )
        moments = pl.Series(self.nights.past.nights, dtype=_US)
        share = self.nights.share * (looked / done if done else 1.0)
        return _Found(frame.with_columns(at=moments.gather(frame["night"])), kept_back, share)

    def told(self, found: _Found, ledger: pl.DataFrame) -> dict[str, Any]:
        proposals = first_channels(found.proposals, self.rule.then, self.nights, ledger)
        proposals = self._answered(proposals)
        weeks = self._weeks(proposals, found.share)
        scale = 1 / found.share
        by = dict(proposals["channel"].value_counts().iter_rows())
        unable = (UNREACHABLE, NO_CONSENT)
        return {
            "nights": len(self.nights.past.nights),
            "contacts_looked_at": round(self.nights.total * found.share),
            "contacts_in_all": self.nights.total,
            "share_looked_at": found.share,
            "proposals": round(proposals.height * scale),
            "contacts": round(proposals["contact_id"].n_unique() * scale),
            "contacts_a_week": {
                "mean": round(fmean(weeks.values()), 1) if weeks else 0.0,
                "highest": max(weeks.values(), default=0),
                "weeks": [{"week": week, "contacts": n} for week, n in weeks.items()],
            },
            "by_channel": {
                channel: round(by.get(channel, 0) * scale) for channel in self.rule.then.channels
            },
            "kept_back": {
                "cooldown": round(found.kept_back * scale),
                **{reason: round(by.get(reason, 0) * scale) for reason in unable},
            },
            "overlap": self._overlap(proposals),
            "by_themselves": self._by_themselves(proposals),
            "samples": self._samples(proposals),
        }

    def _weeks(self, proposals: pl.DataFrame, share: float) -> dict[str, int]:
        """Contacts of each week of the period, by its Monday on the practice's clock."""
        zone = zone_or_utc(self.nights.playbook.settings.time_zone).key
        local = pl.col("at").dt.convert_time_zone(zone).dt.date()
        monday = (local - pl.duration(days=local.dt.weekday() - 1)).cast(pl.Date)
        counted = proposals.group_by(week=monday).agg(n=pl.col("contact_id").n_unique())
        found = dict(counted.iter_rows())
        first, last = (
            night.astimezone(zone_or_utc(zone)).date()
            for night in (self.nights.past.nights[0], self.nights.past.nights[-1])
        )
        start = first - timedelta(days=first.weekday())
        mondays = [start + timedelta(weeks=n) for n in range((last - start).days // 7 + 1)]
        return {day.isoformat(): round(found.get(day, 0) / share) for day in mondays}

    def _answered(self, proposals: pl.DataFrame) -> pl.DataFrame:
        """Add `reached`: whether the goal came in time; null where that was not seen to the end."""
        goal, days = self.rule.then.goal, self.rule.then.goal.within_days
        types = self.trial.rule_set.vocabulary.types(goal.event)
        came = (
            self.nights.past.events.filter(pl.col("type").is_in(types))
            .select("contact_id", goal_at=pl.col("occurred_at").cast(_US))
            .sort("goal_at")
        )
        window = timedelta(days=days)
        seen = pl.col("at") + window <= pl.lit(self.observed_until, dtype=_US)
        in_time = (pl.col("goal_at") <= pl.col("at") + window).fill_null(value=False)
        return (
            proposals.with_row_index("order")
            .with_columns(after=pl.col("at") + timedelta(microseconds=1))
            .sort("after")
            .join_asof(
                came,
                left_on="after",
                right_on="goal_at",
                by="contact_id",
                strategy="forward",
                check_sortedness=False,
            )
            .sort("order")
            .with_columns(reached=pl.when(seen).then(in_time))
            .drop("order", "after", "goal_at")
        )

    def _by_themselves(self, proposals: pl.DataFrame) -> dict[str, Any]:
        goal = self.rule.then.goal
        seen = proposals["reached"].drop_nulls()
        reached = int(seen.sum())
        interval = wilson(reached, len(seen))
        return {
            "goal": goal.event,
            "within_days": goal.within_days,
            "n": len(seen),
            "reached": reached,
            "share": reached / len(seen) if len(seen) else None,
            "low": None if interval is None else interval[0],
            "high": None if interval is None else interval[1],
            "observed_until": self.observed_until.isoformat(),
            "note": _BASE_RATE,
        }

    def _overlap(self, proposals: pl.DataFrame) -> dict[str, Any]:
        """For which share of the proposals each other live rule applied on the same night."""
        rules = self.nights.playbook.rules
        others = [r for r in rules.rules if r.status == "live" and r.id != self.rule.id]
        keys = _keys(proposals["contact_id"])
        some = proposals.sort(keys).head(_MOST_OVERLAPS).select("contact_id", "night").unique()
        if some.is_empty() or not others:
            return {"proposals": some.height, "any": 0.0, "rules": []}
        nights = self.nights.of(some["contact_id"])
        met: dict[str, set[tuple[str, int]]] = {}
        for kind in sorted({rule.subject for rule in others} | {CONTACT}):
            frame = features_at(nights, some, kind)
            matched = rules.match_frame(frame, kind=kind)
            pairs = list(frame.select("contact_id", "night").iter_rows())
            for column, rule in enumerate(rules.rules):
                if rule in others and rule.subject == kind:
                    met[rule.id] = {pairs[n] for n in matched[:, column].nonzero()[0]}
        together: set[tuple[str, int]] = set().union(*met.values())
        shares = sorted(
            ((len(p) / some.height, name) for name, p in met.items() if p), reverse=True
        )
        return {
            "proposals": some.height,
            "any": len(together) / some.height,
            "rules": [{"rule": name, "share": share} for share, name in shares],
        }

    def _samples(self, proposals: pl.DataFrame) -> list[dict[str, Any]]:
        zone = zone_or_utc(self.nights.playbook.settings.time_zone)
        people = proposals.unique("contact_id", keep="first", maintain_order=True)
        chosen = people.sort(_keys(people["contact_id"])).head(_SAMPLES)
        return [
            {
                "contact_id": row["contact_id"],
                "subject": row["subject"],
                "on": row["at"].astimezone(zone).date().isoformat(),
                "channel": row["channel"],
                "reached_the_goal": row["reached"],
            }
            for row in chosen.iter_rows(named=True)
        ]


def _keys(contacts: pl.Series) -> pl.Series:
    """A number per contact by which samples are drawn, the same each time."""
    return pl.Series(uniform(contact_keys(contacts), salt("samples of a backtest")))
