"""What a feature is: one value about one contact at one moment, computed from its history.

A specification is data. Two interpreters read it: `contact.py` for one contact, `columns.py`
for a frame of contacts; tests hold the two equal.

Time is the contact's own wall-clock time: "in the last 60 days" includes an event exactly 60
calendar days old at the same local time and nothing older; an event after `as_of` does not exist.
Every value is an int, a float, a bool, a str or None; None means 'not known' and is never true.
"""

from dataclasses import dataclass
from typing import Literal

Scalar = int | float | bool | str | None

Kind = Literal[
    "attribute",  # the contact's attribute `name`, as given
    "count",  # events of the types within the window (all history if window_days is None)
    "sum",  # amount_cents of those events, cents; 0 without events
    "days_since_last",  # age of the newest event, days with fraction; None without events
    "days_since_first",  # age of the oldest event, days with fraction
    "months_since_last",  # whole calendar months since the newest event, rounded down
    "months_since_last_up",  # the same, rounded up: 'at most n months ago' is `<= n`
    "count_since_last",  # events of `types` strictly after the newest event of `anchor`
    "median_interval_days",  # median gap between distinct local days with an event; None if < 2
    "days_until_next",  # days until the earliest `starts_at` after as_of of an open booking
    "share",  # events of `types` / events of `of_types` in the window; None if the latter is 0
    "trend",  # events in the last window minus events in the window before it
    "interval_ratio",  # days_since_last / median_interval_days; None if either is
    "days_until_date",  # local calendar days until the ISO date in `attribute`; < 0 once past
    "local_month_day",  # month * 100 + day of the contact's local date, e.g. 815 for 15 August
]


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes:
        name: unique; the column name and the key in a flat row.
        kind: see `Kind`.
        types: event types counted, e.g. ("appointment.no_show",).
        window_days: calendar days back from as_of in the contact's zone; None = whole history.
        anchor: event type for count_since_last (None if no anchor happened).
        of_types: denominator of share.
        attribute: key in the contact's attributes, for kinds attribute and days_until_date.
        closed_by: for days_until_next: event types that, on the same subject and after the
            booking, end it (cancelled, kept, no_show).
    """

    name: str
    kind: Kind
    types: tuple[str, ...] = ()
    window_days: int | None = None
    anchor: str | None = None
    of_types: tuple[str, ...] = ()
    attribute: str | None = None
    closed_by: tuple[str, ...] = ()


# Columns of an event frame; the same names are the keys of one contact's event mappings.
#   contact_id   str, the contact's UUID
#   type         str, noun.verb
#   occurred_at  datetime, UTC (aware in Python, Datetime('us', 'UTC') in polars)
#   amount_cents int or None
#   subject      str or None: what the event is about, e.g. 'appointment:5642903'
#   starts_at    datetime UTC or None: when the booked thing takes place
EVENT_COLUMNS = ("contact_id", "type", "occurred_at", "amount_cents", "subject", "starts_at")
