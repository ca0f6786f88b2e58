from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.features.contact import features_of
from engine.features.spec import Feature
from tests.factories.events import NOON, make_event

NEW_YORK = ZoneInfo("America/New_York")
UTC_ZONE = ZoneInfo("UTC")


def value(kind, *events, today=None, zone=UTC_ZONE, attributes=None, holidays=None, **spec):
    as_of = NOON if today is None else datetime.fromisoformat(f"{today}T12:00+00:00")
    feature = Feature("x", kind, **spec)
    found = features_of(
        attributes or {}, events, [feature], as_of=as_of, zone=zone, holidays=holidays
    )
    return found["x"]


def of_date(kind, text, today):
    return value(kind, today=today, attribute="day", attributes={"day": text})


def kept(day, **more):
    return make_event(at=datetime.fromisoformat(f"{day}T09:00+00:00"), **more)


@pytest.mark.parametrize(
    ("born", "today", "days"),
    [
        ("1980-03-10", "2026-03-10", 0),
        ("1980-03-09", "2026-03-10", 364),
        ("1980-01-02", "2026-12-31", 2),
        ("1980-02-29", "2026-02-27", 1),
        ("1980-02-29", "2026-02-28", 0),
        ("1980-02-29", "2027-03-01", 365),
        ("1980-02-29", "2028-02-28", 1),
        ("2030-03-11", "2026-03-10", 1),
        ("soon", "2026-03-10", None),
        (None, "2026-03-10", None),
    ],
)
def test_a_birthday_on_29_february_is_kept_on_the_28th_in_common_years(born, today, days) -> None:
    assert of_date("days_until_anniversary", born, today) == days


@pytest.mark.parametrize(
    ("day", "today", "down", "up"),
    [
        ("2026-03-10", "2026-03-10", 0, 0),
        ("2026-01-31", "2026-02-28", 0, 1),  # a month before is 28 January
        ("2026-01-30", "2026-03-01", 1, 2),
        ("2020-03-10", "2026-03-09", 71, 72),
        ("2026-03-11", "2026-03-10", None, None),
        ("never", "2026-03-10", None, None),
    ],
)
def test_months_since_a_date_are_whole_and_unknown_before_it(day, today, down, up) -> None:
    assert of_date("months_since_date", day, today) == down
    assert of_date("months_since_date_up", day, today) == up


def test_months_since_the_first_event_go_by_the_oldest() -> None:
    visits = [kept("2025-12-09"), kept("2026-03-01")]
    ask = {"types": ("appointment.kept",), "today": "2026-03-10"}
    assert value("months_since_first", *visits, **ask) == 3
    assert value("months_since_first_up", *visits, **ask) == 4
    assert value("months_since_first", **ask) is None


@pytest.mark.parametrize(
    ("today", "spec", "due"),
    [
        ("2026-02-28", {"every_months": 6}, 0),  # 31 August and six months
        ("2026-02-27", {"every_months": 6}, 1),
        ("2026-03-10", {"every_months": 6}, -10),
        ("2025-09-01", {"every_days": 45}, 44),
        ("2026-03-10", {}, None),
    ],
)
def test_a_recall_falls_due_an_interval_after_the_newest_event(today, spec, due) -> None:
    visits = [kept("2025-08-31"), kept("2024-01-01")]
    ask = {"types": ("appointment.kept",), "today": today}
    assert value("days_until_recall", *visits, **ask, **spec) == due
    assert value("days_until_recall", **ask, **spec) is None


@pytest.mark.parametrize(
    ("own", "due"),
    [
        (3, -100),  # 30 November instead of 28 February
        (3.0, -100),
        (None, -10),
        (0, -10),
        (2.5, -10),
        (1201, -10),
        (True, -10),
        ("3", -10),
        (float("nan"), -10),
    ],
)
def test_the_contacts_own_interval_wins_if_it_is_one(own, due) -> None:
    spec = {"types": ("appointment.kept",), "every_months": 6, "attribute": "months"}
    found = value("days_until_recall", kept("2025-08-31"), attributes={"months": own}, **spec)
    assert found == due


def test_a_recall_goes_by_the_contacts_own_calendar() -> None:
    late_evening = make_event(at=datetime(2026, 3, 2, 3, tzinfo=UTC))  # 1 March in New York
    spec = {"types": ("appointment.kept",), "every_days": 9}
    assert value("days_until_recall", late_evening, zone=UTC_ZONE, **spec) == 1
    assert value("days_until_recall", late_evening, zone=NEW_YORK, **spec) == 0


def test_the_household_counts_who_is_due_or_overdue_itself_included() -> None:
    events = [
        kept("2025-09-20"),  # due on 20 March, in ten days
        kept("2025-08-01", member="brother"),  # overdue
        kept("2025-12-01", member="sister"),
        kept("2025-10-11", member="mother"),
        kept("2024-01-01", member="mother"),
        make_event("complaint.opened", member="father"),
    ]
    ask = {"types": ("appointment.kept",), "every_months": 6}
    assert value("members_due", *events, **ask) == 1
    assert value("members_due", *events, window_days=9, **ask) == 1
    assert value("members_due", *events, window_days=10, **ask) == 2
    assert value("members_due", *events, window_days=32, **ask) == 3
    assert value("members_due", **ask) == 0


def test_what_other_members_did_is_not_the_contacts_own() -> None:
    event = kept("2026-03-01", member="sister", amount_cents=500, value=3.0, subject="a:1")
    for kind in ("days_since_last", "last_value", "oldest_open_days", "median_interval_days"):
        assert value(kind, event, types=("appointment.kept",)) is None
    for kind in ("count", "sum", "open_count"):
        assert value(kind, event, types=("appointment.kept",)) == 0


def test_weekday_and_holiday_are_those_where_the_contact_lives() -> None:
    # NOON is a Tuesday; at half past one in London it is still Monday in New York.
    night = {
        "as_of": datetime(2026, 3, 10, 1, 30, tzinfo=UTC),
        "holidays": frozenset({date(2026, 3, 9)}),
    }
    specs = [Feature("weekday", "local_weekday"), Feature("holiday", "holiday")]
    in_utc = features_of({}, (), specs, zone=UTC_ZONE, **night)
    assert in_utc == {"weekday": 2, "holiday": False}
    assert features_of({}, (), specs, zone=NEW_YORK, **night) == {"weekday": 1, "holiday": True}
    assert value("local_weekday", today="2026-03-15") == 7


def test_without_a_calendar_nobody_knows_a_holiday() -> None:
    assert value("holiday") is None
    assert value("holiday", holidays=frozenset()) is False


def test_an_event_of_tomorrow_starts_no_recall() -> None:
    tomorrow = make_event(at=NOON + timedelta(days=1))
    ask = {"types": ("appointment.kept",), "every_days": 1}
    assert value("days_until_recall", tomorrow, **ask) is None
