from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.features.catalogue import FEATURES, standard_features
from engine.features.contact import features_of
from engine.features.spec import Feature
from engine.features.wall_clock import zone_of
from tests.factories.events import NOON, make_event

NEW_YORK = ZoneInfo("America/New_York")
UTC_ZONE = ZoneInfo("UTC")


def value(kind, *events, as_of=NOON, zone=UTC_ZONE, attributes=None, **spec):
    spec.setdefault("types", ("appointment.kept",))
    feature = Feature("x", kind, **spec)
    return features_of(attributes or {}, events, [feature], as_of=as_of, zone=zone)["x"]


def test_an_event_exactly_sixty_days_old_counts_and_a_moment_older_does_not() -> None:
    exactly = make_event(at=NOON - timedelta(days=60))
    older = make_event(at=NOON - timedelta(days=60, microseconds=1))
    assert value("count", exactly, older, window_days=60) == 1


def test_sixty_days_are_calendar_days_of_the_contact_across_a_clock_change() -> None:
    # Clocks in New York went forward on 8 March 2026: noon to noon is 23 hours.
    noon = datetime(2026, 3, 9, 12, tzinfo=NEW_YORK)
    day_before = make_event(at=datetime(2026, 3, 7, 12, tzinfo=NEW_YORK).astimezone(UTC))
    assert value("days_since_last", day_before, as_of=noon, zone=NEW_YORK) == 2.0
    assert value("days_since_last", day_before, as_of=noon, zone=UTC_ZONE) == 47 / 24


def test_what_lies_in_the_future_has_not_happened() -> None:
    tomorrow = make_event(at=NOON + timedelta(days=1), amount_cents=100)
    assert value("count", tomorrow) == 0
    assert value("sum", tomorrow) == 0
    assert value("days_since_last", tomorrow) is None


@pytest.mark.parametrize(
    ("visit", "today", "down", "up"),
    [
        ("2026-01-31", "2026-02-28", 0, 1),
        ("2026-02-28", "2026-03-31", 1, 1),
        ("2026-02-27", "2026-03-31", 1, 2),
        ("2024-02-29", "2025-02-28", 11, 12),
        ("2024-02-29", "2025-03-01", 12, 13),
        ("2025-12-09", "2026-03-10", 3, 4),
        ("2025-12-10", "2026-03-10", 3, 3),
    ],
)
def test_months_are_calendar_months_and_a_short_month_ends_earlier(visit, today, down, up) -> None:
    event = make_event(at=datetime.fromisoformat(f"{visit}T09:00+00:00"))
    as_of = datetime.fromisoformat(f"{today}T09:00+00:00")
    assert value("months_since_last", event, as_of=as_of) == down
    assert value("months_since_last_up", event, as_of=as_of) == up


def test_bookings_since_the_last_no_show_are_unknown_without_a_no_show() -> None:
    booked = make_event("appointment.booked", NOON - timedelta(days=2))
    missed = make_event("appointment.no_show", NOON - timedelta(days=3))
    ask = {"types": ("appointment.booked",), "anchor": "appointment.no_show"}
    assert value("count_since_last", booked, **ask) is None
    assert value("count_since_last", booked, missed, **ask) == 1
    again = make_event("appointment.no_show", NOON - timedelta(days=2))
    assert value("count_since_last", booked, missed, again, **ask) == 0


def test_the_usual_interval_is_the_median_gap_between_days_with_a_visit() -> None:
    days = [100, 90, 90, 60, 58]  # gaps 10, 30, 2; twice on one day counts once
    visits = [make_event(at=NOON - timedelta(days=d)) for d in days]
    assert value("median_interval_days", *visits) == 10.0
    assert value("interval_ratio", *visits) == 5.8
    assert value("median_interval_days", visits[0]) is None
    assert value("interval_ratio", visits[0]) is None


def test_the_next_booking_is_the_earliest_that_nothing_has_ended() -> None:
    ask = {"types": ("appointment.booked",), "closed_by": ("appointment.cancelled",)}

    def booking(subject, in_days):
        return make_event(
            "appointment.booked",
            NOON - timedelta(days=5),
            subject=subject,
            starts_at=NOON + timedelta(days=in_days),
        )

    def cancelled(days_ago):
        return make_event("appointment.cancelled", NOON - timedelta(days=days_ago), subject="a:1")

    first, second = booking("a:1", 3), booking("a:2", 9)
    assert value("days_until_next", first, second, **ask) == 3.0
    assert value("days_until_next", first, second, cancelled(4), **ask) == 9.0
    assert value("days_until_next", first, cancelled(4), **ask) is None
    assert value("days_until_next", first, cancelled(6), **ask) == 3.0  # an earlier booking's end
    assert value("days_until_next", booking("a:3", -1), **ask) is None


def test_share_and_trend_compare_within_the_window() -> None:
    missed = [make_event("appointment.no_show", NOON - timedelta(days=d)) for d in (1, 8, 100)]
    kept = [make_event(at=NOON - timedelta(days=d)) for d in (1, 7, 8, 14, 15)]
    both = ("appointment.kept", "appointment.no_show")
    ask = {"types": ("appointment.no_show",), "of_types": both, "window_days": 14}
    assert value("share", *missed, *kept, **ask) == 2 / 6
    assert value("share", **ask) is None
    assert value("trend", *kept, window_days=7) == 0  # days 1, 7 against days 8, 14


@pytest.mark.parametrize("text", ["2026-02-30", "20260401", "2026-4-01", "soon", 5, None])
def test_a_date_that_is_none_is_unknown(text) -> None:
    assert value("days_until_date", attribute="due", attributes={"due": text}) is None


def test_days_until_a_date_go_by_the_contacts_own_calendar() -> None:
    late_evening = datetime(2026, 3, 31, 2, tzinfo=UTC)  # still 30 March in New York
    ask = {"attribute": "due", "attributes": {"due": "2026-04-01"}, "as_of": late_evening}
    assert value("days_until_date", zone=NEW_YORK, **ask) == 2
    assert value("days_until_date", zone=UTC_ZONE, **ask) == 1
    assert value("local_month_day", as_of=late_evening, zone=NEW_YORK) == 330


@pytest.mark.parametrize("name", ["not/a zone", "", None, "../etc/passwd", "America"])
def test_an_unknown_zone_is_utc(name) -> None:
    assert zone_of(name).key == "UTC"


def test_the_catalogue_names_each_feature_once_and_takes_the_callers_visits() -> None:
    specs = standard_features(("invoice.paid",))
    assert len({spec.name for spec in specs}) == len(specs) == len(FEATURES)
    assert all("visit" not in spec.types for spec in specs)
    by_name = {spec.name: spec for spec in specs}
    assert by_name["visits_90d"].types == ("invoice.paid",)
    assert all(entry.unit and entry.label for entry in FEATURES)
