"""On which nights a comparison of a feature may have another answer than the night before.

For many contacts and a year of nights at once: between two of the nights found nothing enters or
leaves what the feature looks at, so one evaluation stands for all nights until the next. A
superset, found by arithmetic; `turning_points.py` does the same for one contact to the microsecond.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np
import polars as pl

from engine.features.column_dates import months_later
from engine.features.column_history import Clocks, Ints, kept_until, people_of, seen_from
from engine.features.columns import feature_columns
from engine.features.contact_dates import ISO_DATE
from engine.features.properties import property_in
from engine.features.spec import Feature, Kind
from engine.features.turning_points import window_edges
from engine.features.wall_clock import DAY_US, instant_us

# a quotient that is compared is rounded: what lies this close to a bound may be on either side
_ROUNDING_US = 2
_US = pl.Datetime("us", "UTC")
CALENDAR: frozenset[Kind] = frozenset({"local_month_day", "local_weekday", "holiday"})

# a feature and the finite numbers that it is compared with
Asked = tuple[Feature, tuple[float, ...]]


def turning_nights(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    asked: Iterable[Asked],
    nights: Sequence[datetime],
) -> pl.DataFrame:
    """Rows (contact_id, night), each once, sorted by the order of contacts and then by night.

    Args:
        contacts: as `columns.feature_columns` takes them, one row per contact.
        events: as it takes them, with known_at and forgotten_at where they have them.
        asked: features and their bounds; those that go by the calendar alone (`CALENDAR`) turn on
            the same nights for everybody and are left out.
        nights: aware moments, ascending, about a day apart.

    Returns `night` as the position in `nights` (Int64). The first night always counts as turning.
    """
    found = _Nights(contacts, events, nights)
    for spec, bounds in asked:
        if spec.kind not in CALENDAR:
            found.enter(spec)
            for mark in _MARKS.get(spec.kind, ()):
                mark(found, spec, bounds)
    return found.marked()


class _Nights:
    """The events of all contacts on their wall clocks, and the nights marked so far."""

    def __init__(
        self, contacts: pl.DataFrame, events: pl.DataFrame, nights: Sequence[datetime]
    ) -> None:
        self.contacts = contacts
        self.events = events
        self.nights = nights
        self.people, self.clocks = people_of(contacts, nights[-1])
        self.at = np.array([instant_us(night) for night in nights], dtype=np.int64)
        self._walls = [
            self.clocks.wall(self.at, np.full(len(nights), code))
            for code in range(len(self.clocks.zones))
        ]
        everybody = np.arange(self.people.height)
        self._found = [everybody * len(nights)]
        dated = (
            events.lazy()
            .with_columns(seen=seen_from(events), kept=kept_until(events))
            .join(self.people.lazy().select("contact_id", "row", "clock"), on="contact_id")
            .with_columns(
                instant=pl.col("occurred_at").cast(_US).dt.epoch("us"),
                starts=pl.col("starts_at").cast(_US).dt.epoch("us"),
            )
            .collect()
        )
        wall = _wall(self.clocks, dated, "instant")
        self._dated = dated.with_columns(wall=pl.Series(wall, dtype=pl.Int64))

    def of(self, types: Iterable[str]) -> pl.DataFrame:
        """Events of these types: row, clock, wall, instant, seen, starts and what else they say."""
        return self._dated.filter(pl.col("type").is_in(list(types)))

    def enter(self, spec: Feature) -> None:
        """Marks the nights on which what the feature looks at is first seen, or no longer."""
        named = {*spec.types, *spec.of_types, *spec.closed_by, spec.anchor or ""}
        every = spec.property is not None and not spec.types
        seen = self._dated if every else self.of(named)
        self.mark(seen["row"].to_numpy(), np.searchsorted(self.at, seen["seen"].to_numpy()))
        kept = seen.drop_nulls("kept")
        self.mark(kept["row"].to_numpy(), np.searchsorted(self.at, kept["kept"].to_numpy()))

    def cross(self, rows: Ints, walls: Ints) -> None:
        """Marks the first nights at and after these times of the contacts' wall clocks."""
        self.span(rows, walls - _ROUNDING_US, walls + _ROUNDING_US)

    def span(self, rows: Ints, first: Ints, last: Ints) -> None:
        """Marks all nights from `first` to `last`, and the first one after it."""
        codes = self.clocks.code[rows]
        for code, walls in enumerate(self._walls):
            mine = np.flatnonzero(codes == code)
            night = np.searchsorted(walls, first[mine], side="left")
            until = np.searchsorted(walls, last[mine], side="right")
            for ahead in range(int((until - night).max(initial=0)) + 1):
                self.mark(rows[mine], np.minimum(night + ahead, until))

    def mark(self, rows: Ints, nights: Ints) -> None:
        inside = nights < len(self.nights)
        self._found.append(rows[inside] * len(self.nights) + nights[inside])

    def marked(self) -> pl.DataFrame:
        found = np.unique(np.concatenate(self._found))
        return pl.DataFrame(
            {
                "contact_id": self.contacts["contact_id"][found // len(self.nights)],
                "night": pl.Series(found % len(self.nights), dtype=pl.Int64),
            }
        )

    def rows_of(self, names: pl.Series) -> Ints:
        """The places of contacts, by id."""
        asked = pl.DataFrame({"contact_id": names})
        known = self.people.select("contact_id", "row")
        rows: Ints = asked.join(known, on="contact_id", how="left", maintain_order="left")[
            "row"
        ].to_numpy()
        return rows


_Mark = Callable[[_Nights, Feature, tuple[float, ...]], None]


def _wall(clocks: Clocks, dated: pl.DataFrame, instant: str) -> Ints:
    return clocks.wall(dated[instant].to_numpy(), clocks.code[dated["row"].to_numpy()])


def _leave(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:  # noqa: ARG001
    """An event leaves the window; of a trend, first the later half; of a season, it comes first."""
    types = spec.of_types if spec.kind == "median_latency_days" else spec.types
    events = nights.of({*types, *spec.of_types})
    for days in window_edges(spec):
        _age(nights, events, days * DAY_US)


def _grow(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    """An age in days reaches a bound."""
    events = nights.of(spec.types)
    for bound in bounds:
        _age(nights, events, bound * DAY_US)


def _age(nights: _Nights, events: pl.DataFrame, length: float) -> None:
    nights.cross(events["row"].to_numpy(), events["wall"].to_numpy() + round(length))


def _months(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    """An age in whole months reaches a bound, by either rounding."""
    events = nights.of(spec.types)
    days = events["wall"].to_numpy() // DAY_US
    _months_on(nights, events["row"].to_numpy(), days, bounds)


def _months_on(nights: _Nights, rows: Ints, days: Ints, bounds: tuple[float, ...]) -> None:
    for months in {int(bound) + step for bound in bounds for step in (-1, 0, 1, 2)}:
        due = months_later(days, months)
        # a shorter month ends early, and what follows it late: by up to three days
        _days(nights, rows, due, slack=4)


def _days(nights: _Nights, rows: Ints, days: Ints, *, slack: int = 1) -> None:
    """Local days about which something turns, at their midnights."""
    nights.span(rows, (days - slack + 1) * DAY_US, (days + slack) * DAY_US)


def _open_age(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    _leave(nights, spec, bounds)
    _grow(nights, spec, bounds)


def _next(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    """A booked start comes near, and has come."""
    booked = nights.of(spec.types).filter(pl.col("starts").is_not_null())
    rows, starts = booked["row"].to_numpy(), booked["starts"].to_numpy()
    nights.mark(rows, np.searchsorted(nights.at, starts))
    walls = _wall(nights.clocks, booked, "starts")
    for bound in {0.0, *bounds}:
        nights.cross(rows, walls - round(bound * DAY_US))


def _ratio(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    """The wait reaches a multiple of the usual wait, which changes with each event only."""
    alone = _Nights(nights.contacts, nights.events, nights.nights)
    alone.enter(spec)
    asked = alone.marked()
    moments = pl.Series(nights.nights, dtype=_US)
    usual, since = replace(spec, kind="median_interval_days"), replace(spec, kind="days_since_last")
    known = feature_columns(
        asked.join(nights.contacts, on="contact_id", maintain_order="left").with_columns(
            as_of=moments.gather(asked["night"])
        ),
        nights.events,
        [replace(usual, name="usual"), replace(since, name="since")],
        as_of=nights.nights[-1],
    )
    known = known.with_columns(asked["night"]).drop_nulls()
    rows, night = nights.rows_of(known["contact_id"]), known["night"].to_numpy()
    now = nights.clocks.wall(nights.at[night], nights.clocks.code[rows])
    last = now - np.rint(known["since"].to_numpy() * DAY_US).astype(np.int64)
    for bound in bounds:
        wait = np.rint(known["usual"].to_numpy() * bound * DAY_US).astype(np.int64)
        # the newest event's time went through a quotient and back
        nights.span(rows, last + wait - 1000, last + wait + 1000)


def _dates(nights: _Nights, spec: Feature) -> Iterator[tuple[Ints, Ints]]:
    """Rows and days (since 1970) of the dates that a feature reads, at whatever time."""
    if spec.property is None:
        name = spec.attribute or spec.name
        if name in nights.contacts.columns and nights.contacts[name].dtype == pl.String:
            yield _iso_days(nights.people["row"], nights.contacts[name])
        return
    having = nights.of(spec.types) if spec.types else nights.of(nights.events["type"].unique())
    if "properties" in having.columns:
        texts = having["properties"].drop_nulls().unique()
        read = [property_in(text, spec.property, "text")[1] for text in texts]
        values = pl.DataFrame({"properties": texts, "day": pl.Series(read, dtype=pl.String)})
        found = having.select("row", "properties").join(values, on="properties")
        yield _iso_days(found["row"], found["day"])


def _iso_days(rows: pl.Series, texts: pl.Series) -> tuple[Ints, Ints]:
    valid = pl.when(texts.str.contains(ISO_DATE)).then(texts)
    day = pl.select(valid.str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32)).to_series()
    known = day.is_not_null()
    return rows.filter(known).to_numpy(), day.filter(known).cast(pl.Int64).to_numpy()


def _date(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    for rows, days in _dates(nights, spec):
        for bound in bounds:
            _days(nights, rows, days - int(bound))


def _date_known(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    """Months since a date are known from the date on."""
    for rows, days in _dates(nights, spec):
        _days(nights, rows, days)
        _months_on(nights, rows, days, bounds)


def _anniversary(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    years = range(nights.nights[0].year - 1, nights.nights[-1].year + 3)
    for rows, days in _dates(nights, spec):
        born = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        for year in years:
            again = months_later(days, (year - 1970) * 12 + born % 12 - born)
            for bound in {0.0, *bounds}:
                _days(nights, rows, again - int(bound), slack=2)


def _recall(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:
    events = nights.of(spec.types)
    rows, days = events["row"].to_numpy(), events["wall"].to_numpy() // DAY_US
    for due in _due(nights, spec, rows, days):
        for bound in bounds:
            _days(nights, rows, due - int(bound), slack=2)


def _due(nights: _Nights, spec: Feature, rows: Ints, days: Ints) -> Iterator[Ints]:
    """When it is due, by the rule's interval and by the contact's own."""
    if spec.every_months is not None:
        yield months_later(days, spec.every_months)
    elif spec.every_days is not None:
        yield days + spec.every_days
    if spec.attribute is not None and spec.attribute in nights.contacts.columns:
        own = nights.contacts[spec.attribute].cast(pl.Float64, strict=False).fill_nan(None)
        months = own.clip(0, 1200).fill_null(0).cast(pl.Int64).to_numpy()
        yield months_later(days, months[rows])


def _members(nights: _Nights, spec: Feature, bounds: tuple[float, ...]) -> None:  # noqa: ARG001
    """What becomes due for one member, or is done, turns the count of all."""
    if "account_id" not in nights.contacts.columns:
        _recall(nights, spec, (float(spec.window_days or 0),))
        return
    accounts = nights.people.select("row", account=pl.col("attribute account_id"))
    events = nights.of(spec.types).join(accounts, on="row")
    everybody = accounts.rename({"row": "other"}).drop_nulls()
    shared = events.join(everybody, on="account", how="left")
    rows = shared["other"].fill_null(shared["row"]).to_numpy()
    nights.mark(rows, np.searchsorted(nights.at, shared["seen"].to_numpy()))
    kept = shared["kept"].is_not_null()
    nights.mark(
        rows[kept.to_numpy()], np.searchsorted(nights.at, shared["kept"].drop_nulls().to_numpy())
    )
    # another member's clock may show the day before or after, and a month later is then, at the
    # end of a short month, up to four days apart
    days = shared["wall"].to_numpy() // DAY_US
    for near in (-1, 0, 1):
        for due in _due(nights, replace(spec, attribute=None), rows, days + near):
            _days(nights, rows, due - (spec.window_days or 0), slack=2)


_MARKS: dict[Kind, tuple[_Mark, ...]] = {
    "count": (_leave,),
    "sum": (_leave,),
    "share": (_leave,),
    "trend": (_leave,),
    "mean_value": (_leave,),
    "top_share": (_leave,),
    "distinct_count": (_leave,),
    "season_count": (_leave,),
    "median_lead_days": (_leave,),
    "mean_change": (_leave,),
    "open_count": (_leave,),
    "median_latency_days": (_leave,),
    "days_since_last": (_grow,),
    "days_since_first": (_grow,),
    "oldest_open_days": (_open_age,),
    "interval_ratio": (_ratio,),
    "months_since_last": (_months,),
    "months_since_last_up": (_months,),
    "months_since_first": (_months,),
    "months_since_first_up": (_months,),
    "days_until_next": (_next,),
    "days_until_date": (_date,),
    "months_since_date": (_date_known,),
    "months_since_date_up": (_date_known,),
    "days_until_anniversary": (_anniversary,),
    "days_until_recall": (_recall,),
    "members_due": (_members,),
}
