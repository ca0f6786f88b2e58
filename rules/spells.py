"""From which night until which a rule applied to each contact, over a year of past nights.

Each contact is looked at on the nights on which its answer may turn (`turning_nights`), with what
was known on that night; the answer stands until the next of them. Conditions that go by the
calendar alone are asked once a night for each time zone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from math import isfinite

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.features.columns import feature_columns
from engine.features.spec import CONTACT, Feature, SubjectKind
from engine.features.subjects import subject_columns
from engine.features.turning_nights import CALENDAR, Asked, turning_nights
from engine.features.wall_clock import zone_of
from rules.expression import Expression, Part
from rules.frame import rule_columns
from rules.trees import leaves

_US = pl.Datetime("us", "UTC")
SPELL_SCHEMA = {
    "contact_id": pl.String,
    "subject": pl.String,
    "first": pl.Int64,
    "until": pl.Int64,
}


@dataclass(frozen=True)
class Past:
    """What nights look back on.

    Attributes:
        contacts: as `feature_columns` takes them, one row per contact, and `known_from`: since
            when it exists (Datetime UTC; null: always).
        events: of these contacts, with known_at and forgotten_at.
        nights: aware moments, ascending, one a day.
        kinds: subject kinds that rules may be about.
        holidays: the tenant's public holidays; None if they are not known.
    """

    contacts: pl.DataFrame
    events: pl.DataFrame
    nights: Sequence[datetime]
    kinds: Sequence[SubjectKind] = ()
    holidays: frozenset[date] | None = None


@dataclass(frozen=True, slots=True)
class Divided:
    """A rule in three: it applies where all of them do.

    Attributes:
        history: what events and attributes decide.
        calendar: what day and zone decide.
        elsewhere: the rest, with the features that neither gives (health); nothing in most rules.
    """

    history: Expression
    calendar: Expression
    elsewhere: Expression


def divided(expression: Expression, elsewhere: frozenset[str] = frozenset()) -> Divided:
    """Divide a rule by what its conditions look at; `elsewhere` names features."""
    specs = {spec.name: spec for spec in expression.features}

    def place(part: Part) -> str:
        named = {leaf.feature for leaf in leaves(part.tree)}
        if named & elsewhere:
            return "elsewhere"
        return "calendar" if named and all(specs[n].kind in CALENDAR for n in named) else "history"

    def part_of(name: str) -> Expression:
        when = tuple(part for part in expression.when if place(part) == name)
        unless = tuple(part for part in expression.unless if place(part) == name)
        used = {leaf.feature for part in (*when, *unless) for leaf in leaves(part.tree)}
        features = tuple(spec for spec in expression.features if spec.name in used)
        return replace(expression, when=when, unless=unless, features=features)

    return Divided(part_of("history"), part_of("calendar"), part_of("elsewhere"))


def spells(rule: Divided, past: Past) -> pl.DataFrame:
    """Spells in which history and calendar let the rule apply, each as long as it lasts.

    Columns of `SPELL_SCHEMA`: subject is null for a rule about contacts; nights from `first` to
    before `until`, positions in `past.nights`. Sorted by contact, subject and first. What
    `rule.elsewhere` asks is left open.
    """
    looked = _looked(rule.history, past)
    by_zone = _calendar(rule.calendar, past)
    rows = [
        (contact, subject, *spell)
        for contact, subject, zone, found in _merged(looked)
        for spell in _cut(found, by_zone[zone])
    ]
    return pl.DataFrame(rows, schema=SPELL_SCHEMA, orient="row")


def frame_at(pairs: pl.DataFrame, past: Past, specs: Sequence[Feature], kind: str) -> pl.DataFrame:
    """The features of (contact_id, night) pairs, for a subject kind a row per open subject.

    Columns contact_id, night, subject and one per spec of the contact's scope and of the kind's.
    """
    moments = pl.Series(past.nights, dtype=_US)
    asked = pairs.select("contact_id", "night").join(
        past.contacts, on="contact_id", maintain_order="left"
    )
    asked = asked.with_columns(as_of=moments.gather(asked["night"]))
    night = asked["night"]
    events = past.events.filter(pl.col("contact_id").is_in(asked["contact_id"].unique().implode()))
    latest = past.nights[-1]
    people = asked.drop("night", "known_from", strict=False)
    own = [spec for spec in specs if spec.scope == CONTACT]
    frame = feature_columns(people, events, own, as_of=latest, holidays=past.holidays)
    frame = frame.insert_column(1, night)
    if kind == CONTACT:
        return frame.insert_column(2, pl.Series("subject", [None] * frame.height, dtype=pl.String))
    kinds = [each for each in past.kinds if each.name == kind]
    about = subject_columns(people, events, kinds, specs, as_of=latest)[kind]
    nights = pl.DataFrame({"as_of": moments, "night": range(len(past.nights))})
    about = about.join(nights, on="as_of", maintain_order="left").drop("as_of")
    about = about.with_columns(pl.col("night").cast(pl.Int64))
    return about.join(frame, on=["contact_id", "night"], maintain_order="left")


def _looked(rule: Expression, past: Past) -> pl.DataFrame:
    """Where the rule applies on the nights looked at.

    Columns contact_id, subject, zone, first, until: the next night on which the contact is looked
    at. Sorted by contact, subject and first.
    """
    turning = turning_nights(past.contacts, past.events, _asked(rule, past), past.nights)
    exists = _existing(past)
    pairs = (
        turning.join(exists, on="contact_id", maintain_order="left")
        .filter(pl.col("since") < len(past.nights))
        .with_columns(night=pl.max_horizontal("night", "since"))
        .unique(["contact_id", "night"], maintain_order=True)
        .with_columns(
            until=pl.col("night").shift(-1, fill_value=len(past.nights)).over("contact_id")
        )
    )
    frame = frame_at(pairs, past, rule.features, rule.kind)
    applies = rule_columns(frame, [rule]).to_series()
    return (
        frame.filter(applies)
        .select("contact_id", "subject", "night")
        .join(pairs, on=["contact_id", "night"], maintain_order="left")
        .rename({"night": "first"})
        .select("contact_id", "subject", "zone", "first", "until")
        .sort("contact_id", "subject", "first")
    )


def _existing(past: Past) -> pl.DataFrame:
    """contact_id, since: the first night on which it exists, and its zone."""
    since = np.zeros(past.contacts.height, dtype=np.int64)
    if "known_from" in past.contacts.columns:
        nights = pl.Series(past.nights, dtype=_US).dt.epoch("us").to_numpy()
        known = past.contacts["known_from"].cast(_US).dt.epoch("us").fill_null(0)
        since = np.searchsorted(nights, known.to_numpy())
    zones = [zone_of(name).key for name in past.contacts["timezone"]]
    return past.contacts.select("contact_id").with_columns(
        since=pl.Series(since, dtype=pl.Int64), zone=pl.Series(zones, dtype=pl.String)
    )


def _asked(rule: Expression, past: Past) -> list[Asked]:
    bounds: dict[str, set[float]] = {spec.name: set() for spec in rule.features}
    for leaf in leaves(rule.everything):
        constants = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
        bounds[leaf.feature] |= {
            float(value)
            for value in constants
            if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        }
    asked = [(spec, tuple(sorted(bounds[spec.name]))) for spec in rule.features]
    lives = (each for each in past.kinds if each.name == rule.kind)
    opens = [Feature(each.name, "count", (*each.opened_by, *each.closed_by)) for each in lives]
    return [*asked, *((spec, ()) for spec in opens)]


def _calendar(rule: Expression, past: Past) -> dict[str, NDArray[np.int64]]:
    """By zone, for each night the first one from it on that the calendar allows; else the end."""
    zones = sorted({zone_of(name).key for name in past.contacts["timezone"].unique()})
    end = len(past.nights)
    if not (rule.when or rule.unless):
        return dict.fromkeys(zones, np.arange(end + 1))
    people = pl.DataFrame({"timezone": zones}).join(
        pl.DataFrame({"as_of": pl.Series(past.nights, dtype=_US)}), how="cross"
    )
    people = people.with_row_index("contact_id").with_columns(pl.col("contact_id").cast(pl.String))
    nothing, latest = past.events.clear(), past.nights[-1]
    frame = feature_columns(people, nothing, rule.features, as_of=latest, holidays=past.holidays)
    allowed = rule_columns(frame, [rule]).to_series().to_numpy().reshape(len(zones), end)
    found = {}
    for zone, days in zip(zones, allowed, strict=True):
        following = np.where(days, np.arange(end), end)
        found[zone] = np.append(np.minimum.accumulate(following[::-1])[::-1], end)
    return found


def _merged(
    looked: pl.DataFrame,
) -> Iterator[tuple[str, str | None, str, list[tuple[int, int]]]]:
    """Each contact and subject with the stretches of nights in which its history lets it apply."""
    key: tuple[str, str | None] | None = None
    zone, found = "", list[tuple[int, int]]()
    for contact, subject, where, first, until in looked.iter_rows():
        if key != (contact, subject):
            if key is not None:
                yield *key, zone, found
            key, zone, found = (contact, subject), where, []
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], until)
        else:
            found.append((first, until))
    if key is not None:
        yield *key, zone, found


def _cut(
    found: Sequence[tuple[int, int]], following: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """The parts of the stretches that lie on nights the calendar allows."""
    for start, until in found:
        night = int(following[start])
        while night < until:
            last = night + 1
            while last < until and following[last] == last:
                last += 1
            yield night, last
            night = int(following[last])
