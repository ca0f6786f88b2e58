"""What a feature is: one value about one contact, or one of its subjects, at one moment.

A specification is data. Two interpreters read it: `contact.py` for one contact, `columns.py`
for a frame of contacts; tests hold the two equal. `subjects.py` does the same for each open
contract, asset or whatever else a contact's events are about.

Time is the contact's own wall-clock time: "in the last 60 days" includes an event exactly 60
calendar days old at the same local time and nothing older; an event after `as_of` does not exist.
Every value is an int, a float, a bool, a str or None; None means 'not known' and is never true.
A list of texts is one str, its items joined by a line feed; the empty str is the empty list.
"""

from dataclasses import dataclass
from typing import Literal

Scalar = int | float | bool | str | None

Kind = Literal[
    "attribute",  # the contact's attribute `name`, as given
    "has",  # bool: the list in `attribute` holds `value`; None if the list is missing
    "count",  # events of the types within the window (all history if window_days is None)
    "sum",  # amount_cents of those events, cents; 0 without events
    "days_since_last",  # age of the newest event, days with fraction; None without events
    "days_since_first",  # age of the oldest event, days with fraction
    "months_since_last",  # whole calendar months since the newest event, rounded down
    "months_since_last_up",  # the same, rounded up: 'at most n months ago' is `<= n`
    "months_since_first",  # whole calendar months since the oldest event, rounded down
    "months_since_first_up",  # the same, rounded up
    "count_since_last",  # events of `types` strictly after the newest event of `anchor`
    "median_interval_days",  # median gap between distinct local days with an event; None if < 2
    "days_until_next",  # days until the earliest `starts_at` after as_of of an open booking
    "share",  # events of `types` / events of `of_types` in the window; None if the latter is 0
    "trend",  # events in the last window minus events in the window before it
    "interval_ratio",  # days_since_last / median_interval_days; None if either is
    "last_value",  # number of the newest event that carries one; None without
    "mean_value",  # mean number of the events in the window that carry one; None without
    "value_change",  # that of the newest minus that of the one before it; None if < 2 carry one
    "mean_change",  # that mean minus the mean of the window before it; None without one of them
    "interval_spread",  # mean distance of gaps from their median, in medians; None if < 3 days
    "median_lead_days",  # median days from an event to its `starts_at`, never below 0
    "season_count",  # int: events in the `window_days` that followed this day a year (365 d) ago
    "distinct_count",  # int: different texts under `property` in the window; None if never said
    "top_share",  # share of the most frequent of these texts; None if none is in the window
    "open_count",  # int: subjects that an event of `types` in the window opened and nothing closed
    "oldest_open_days",  # age of the oldest such event, days with fraction; None if none is open
    "median_latency_days",  # median days from an event of `types` to its answer, see `of_types`
    "days_until_date",  # local calendar days until the ISO date in `attribute`; < 0 once past
    "months_since_date",  # whole calendar months since that date, down; None if in the future
    "months_since_date_up",  # the same, rounded up
    "days_until_anniversary",  # 0 to 365 days until its day and month come round; year ignored
    "days_until_recall",  # local calendar days until newest event + interval; < 0 overdue
    "members_due",  # int: members of the account whose recall is overdue or due in the window
    "property",  # newest value of `property` on the events of the subject
    "local_month_day",  # month * 100 + day of the contact's local date, e.g. 815 for 15 August
    "local_weekday",  # ISO weekday of the contact's local date: 1 is Monday, 7 is Sunday
    "holiday",  # bool: that date is one of the holidays given; None if none were given
]
ValueType = Literal["text", "number", "flag", "list"]

# The scope of what is said of the contact itself, as opposed to one of its subjects.
CONTACT = "contact"


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature.

    Attributes:
        name: unique over all scopes; the column name and the key in a flat row.
        kind: see `Kind`.
        types: event types counted, e.g. ("appointment.no_show",). For property, the events
            whose properties are read; empty means all of them.
        window_days: calendar days back from as_of in the contact's zone; None = whole history.
            For open_count and oldest_open_days the opening event lies in it, for
            median_latency_days the answer. For members_due: days ahead, 0 if None.
        anchor: event type for count_since_last (None if no anchor happened).
        of_types: denominator of share. For median_latency_days: what answers an event, the first
            of these strictly after it on the same subject; what is unanswered counts nowhere.
        attribute: key in the contact's attributes for attribute, has and the date kinds (default:
            the name). For days_until_recall: where the contact's own interval in months stands;
            a whole number from 1 to 1200 wins over `every_…`, anything else is passed over.
        closed_by: for days_until_next: event types that, on the same subject and after the
            booking, end it (cancelled, kept, no_show). For open_count and oldest_open_days:
            types that, on the same subject and at or after the opening, close it; an event
            without a subject opens nothing.
        value: for has, the item looked for.
        every_months, every_days: the interval of a recall; months if both are given. The last
            day of a shorter month stands for the day it lacks.
        property: key in the events' properties, for property; has and the date kinds read it in
            place of an attribute. An event that lacks the key leaves the older value standing,
            null clears it; of events at one moment the one with the greater JSON text is newest.
        value_type: what the property is; a value of another type is None. A number comes out as
            a float, a list (of texts) as one str. Only property looks at it.
        scope: "contact", or a subject kind: only events about that one subject are looked at.
    """

    name: str
    kind: Kind
    types: tuple[str, ...] = ()
    window_days: int | None = None
    anchor: str | None = None
    of_types: tuple[str, ...] = ()
    attribute: str | None = None
    closed_by: tuple[str, ...] = ()
    value: str | None = None
    every_months: int | None = None
    every_days: int | None = None
    property: str | None = None
    value_type: ValueType = "text"
    scope: str = CONTACT


@dataclass(frozen=True, slots=True)
class SubjectKind:
    """What a rule may be about, told from events whose subject is '<name>:<id>'.

    A subject is open from an event of `opened_by` on, until one of `closed_by` at or after the
    newest opening; one that was never opened is not open.
    """

    name: str
    opened_by: tuple[str, ...]
    closed_by: tuple[str, ...] = ()


# Columns of an event frame; the same names are the attributes of `contact.HistoryEvent`, which
# holds one contact's events. A frame may lack `value` and `properties`: null for all events.
#   contact_id   str, the contact's UUID
#   type         str, noun.verb
#   occurred_at  datetime, UTC (aware in Python, Datetime('us', 'UTC') in polars)
#   amount_cents int or None
#   subject      str or None: what the event is about, e.g. 'appointment:5642903'
#   starts_at    datetime UTC or None: when the booked thing takes place
#   value        float or None: the number it carries, e.g. a survey's score; kept to a millionth,
#                and not known beyond `LARGEST_VALUE` either side of 0
#   properties   str or None: a JSON object; anything else is taken as null
EVENT_COLUMNS = (
    "contact_id",
    "type",
    "occurred_at",
    "amount_cents",
    "subject",
    "starts_at",
    "value",
    "properties",
)
# Values are summed as millionths in 64 bits, so that their mean does not depend on the order:
# nine thousand of the largest fit.
LARGEST_VALUE = 1e9
