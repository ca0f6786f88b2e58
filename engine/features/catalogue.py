"""The standard features: what the health model, the console and rule authors can count on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.features.spec import Feature, Kind

_VISIT = ("visit",)  # stands for the caller's visit types in the table below
_BOOKED = ("appointment.booked", "appointment.rescheduled")
_BOOKING_ENDS = (
    "appointment.cancelled",
    "appointment.kept",
    "appointment.no_show",
    "appointment.rescheduled",
)
_NO_SHOW = ("appointment.no_show",)
_DUE_APPOINTMENT = ("appointment.kept", "appointment.no_show")


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A standard feature and how to speak of it.

    Attributes:
        feature: the specification.
        unit: unit of its values.
        label: plain words for people.
        null_means: when the value is null; empty if it never is.
    """

    feature: Feature
    unit: str
    label: str
    null_means: str = ""


def _entry(feature: Feature, unit: str, label: str, null_means: str = "") -> CatalogueEntry:
    return CatalogueEntry(feature, unit, label, null_means)


def _windows(
    name: str, kind: Kind, types: tuple[str, ...], days: Sequence[int], unit: str, label: str
) -> tuple[CatalogueEntry, ...]:
    """The same count or sum in several windows; `{}` in name and label takes the days."""
    return tuple(
        _entry(Feature(name.format(n), kind, types, window_days=n), unit, label.format(n))
        for n in days
    )


FEATURES: tuple[CatalogueEntry, ...] = (
    *_windows("visits_{}d", "count", _VISIT, (30, 60, 90, 180, 365), "visits", "visits in {} days"),
    _entry(
        Feature("days_since_last_visit", "days_since_last", _VISIT),
        "days",
        "days since the last visit",
        "never visited",
    ),
    _entry(
        Feature("days_since_first_visit", "days_since_first", _VISIT),
        "days",
        "days since the first visit",
        "never visited",
    ),
    _entry(
        Feature("median_visit_interval_days", "median_interval_days", _VISIT),
        "days",
        "usual days between visits",
        "visited on fewer than two days",
    ),
    _entry(
        Feature("visit_interval_ratio", "interval_ratio", _VISIT),
        "times the usual interval",
        "wait since the last visit against the usual wait",
        "visited on fewer than two days",
    ),
    *_windows("spend_{}d_cents", "sum", _VISIT, (90, 365), "cents", "spend on visits in {} days"),
    _entry(
        Feature("visit_trend_90d", "trend", _VISIT, window_days=90),
        "visits",
        "visits in 90 days minus visits in the 90 days before",
    ),
    *_windows(
        "no_shows_{}d", "count", _NO_SHOW, (60, 180, 365), "no-shows", "missed visits in {} days"
    ),
    *_windows(
        "cancellations_{}d",
        "count",
        ("appointment.cancelled",),
        (180,),
        "cancellations",
        "cancelled visits in {} days",
    ),
    _entry(
        Feature(
            "no_show_share_365d", "share", _NO_SHOW, window_days=365, of_types=_DUE_APPOINTMENT
        ),
        "share",
        "share of due appointments missed in 365 days",
        "no appointment was due",
    ),
    _entry(
        Feature("next_booking_in_days", "days_until_next", _BOOKED, closed_by=_BOOKING_ENDS),
        "days",
        "days until the next booked visit",
        "nothing is booked",
    ),
    *_windows(
        "credits_{}d", "count", ("invoice.credited",), (365,), "credits", "credit notes, {} days"
    ),
    *_windows(
        "credits_{}d_cents", "sum", ("invoice.credited",), (365,), "cents", "credited in {} days"
    ),
    *_windows(
        "messages_sent_{}d", "count", ("message.sent",), (90, 365), "messages", "messages, {} days"
    ),
    *_windows("opens_{}d", "count", ("message.opened",), (90, 365), "opens", "opens, {} days"),
    *_windows("clicks_{}d", "count", ("message.clicked",), (90, 365), "clicks", "clicks, {} days"),
    *_windows(
        "replies_{}d", "count", ("message.replied",), (90, 365), "replies", "replies in {} days"
    ),
    *_windows(
        "late_payments_{}d",
        "count",
        ("invoice.paid_late",),
        (365,),
        "invoices",
        "invoices paid late in {} days",
    ),
    *_windows(
        "complaints_{}d",
        "count",
        ("complaint.opened",),
        (180,),
        "complaints",
        "complaints, {} days",
    ),
)


def standard_features(visit_types: Sequence[str]) -> tuple[Feature, ...]:
    """The standard features, where an event of any of `visit_types` counts as a visit."""
    visit = tuple(visit_types)
    return tuple(
        replace(entry.feature, types=visit) if entry.feature.types == _VISIT else entry.feature
        for entry in FEATURES
    )
