"""Standard features of what the business does for a contact: visits, bookings, payments."""

from engine.features.catalogue_entry import VISIT, CatalogueEntry, described, windows
from engine.features.spec import Feature

_BOOKED = ("appointment.booked", "appointment.rescheduled")
_BOOKING_ENDS = (
    "appointment.cancelled",
    "appointment.kept",
    "appointment.no_show",
    "appointment.rescheduled",
)
_NO_SHOW = ("appointment.no_show",)
_DUE_APPOINTMENT = ("appointment.kept", "appointment.no_show")
_CANCELLED = ("appointment.cancelled",)
_ISSUED = ("invoice.issued",)
_PAID = ("invoice.paid", "invoice.paid_late")
_INVOICE_ENDS = (*_PAID, "invoice.credited", "invoice.written_off")

RHYTHM: tuple[CatalogueEntry, ...] = (
    *windows("visits_{}d", "count", VISIT, (30, 60, 90, 180, 365), "visits", "visits in {} days"),
    described(
        Feature("days_since_last_visit", "days_since_last", VISIT),
        "days",
        "days since the last visit",
        "never visited",
    ),
    described(
        Feature("days_since_first_visit", "days_since_first", VISIT),
        "days",
        "days since the first visit",
        "never visited",
    ),
    described(
        Feature("median_visit_interval_days", "median_interval_days", VISIT),
        "days",
        "usual days between visits",
        "visited on fewer than two days",
    ),
    described(
        Feature("visit_interval_ratio", "interval_ratio", VISIT),
        "times the usual interval",
        "wait since the last visit against the usual wait",
        "visited on fewer than two days",
    ),
    described(
        Feature("visit_interval_spread", "interval_spread", VISIT),
        "usual intervals",
        "how unevenly the visits come",
        "visited on fewer than three days",
    ),
    *windows(
        "visit_trend_{}d",
        "trend",
        VISIT,
        (30, 90, 180, 365),
        "visits",
        "visits in {0} days minus visits in the {0} days before",
    ),
    *windows(
        "visits_next_{}d_last_year",
        "season_count",
        VISIT,
        (90,),
        "visits",
        "visits in the {} days that followed this day a year ago",
    ),
    *windows("spend_{}d_cents", "sum", VISIT, (90, 365), "cents", "spend on visits in {} days"),
    described(
        Feature("services_used_365d", "distinct_count", VISIT, 365, property="service"),
        "services",
        "different services used in 365 days",
        "no visit says its service",
    ),
    described(
        Feature("services_used_ever", "distinct_count", VISIT, property="service"),
        "services",
        "different services ever used",
        "no visit says its service",
    ),
    described(
        Feature("staff_continuity_365d", "top_share", VISIT, 365, property="staff"),
        "share",
        "share of visits with the same member of staff in 365 days",
        "no visit in the window says who served",
    ),
)

APPOINTMENTS: tuple[CatalogueEntry, ...] = (
    *windows(
        "no_shows_{}d", "count", _NO_SHOW, (60, 180, 365), "no-shows", "missed visits in {} days"
    ),
    *windows(
        "cancellations_{}d",
        "count",
        _CANCELLED,
        (60, 180, 365),
        "cancellations",
        "cancelled visits in {} days",
    ),
    *windows(
        "reschedules_{}d",
        "count",
        ("appointment.rescheduled",),
        (180,),
        "moves",
        "bookings moved in {} days",
    ),
    described(
        Feature("no_show_share_365d", "share", _NO_SHOW, 365, of_types=_DUE_APPOINTMENT),
        "share",
        "share of due appointments missed in 365 days",
        "no appointment was due",
    ),
    described(
        Feature("cancellation_share_365d", "share", _CANCELLED, 365, of_types=_BOOKED),
        "share",
        "cancellations per booking in 365 days",
        "nothing was booked",
    ),
    described(
        Feature("booking_lead_days_365d", "median_lead_days", _BOOKED, 365),
        "days",
        "usual days from booking to visit in 365 days",
        "nothing was booked",
    ),
    described(
        Feature("next_booking_in_days", "days_until_next", _BOOKED, closed_by=_BOOKING_ENDS),
        "days",
        "days until the next booked visit",
        "nothing is booked",
    ),
)

PAYMENT: tuple[CatalogueEntry, ...] = (
    *windows(
        "credits_{}d", "count", ("invoice.credited",), (365,), "credits", "credit notes, {} days"
    ),
    *windows(
        "credits_{}d_cents", "sum", ("invoice.credited",), (365,), "cents", "credited in {} days"
    ),
    *windows(
        "late_payments_{}d",
        "count",
        ("invoice.paid_late",),
        (365,),
        "invoices",
        "invoices paid late in {} days",
    ),
    described(
        Feature("late_payment_share_365d", "share", ("invoice.paid_late",), 365, of_types=_PAID),
        "share",
        "share of payments that came late in 365 days",
        "nothing was paid",
    ),
    described(
        Feature("payment_delay_days_365d", "median_latency_days", _ISSUED, 365, of_types=_PAID),
        "days",
        "usual days from invoice to payment in 365 days",
        "no invoice was paid",
    ),
    described(
        Feature("open_invoices", "open_count", _ISSUED, closed_by=_INVOICE_ENDS),
        "invoices",
        "invoices not yet paid",
    ),
    described(
        Feature("oldest_open_invoice_days", "oldest_open_days", _ISSUED, closed_by=_INVOICE_ENDS),
        "days",
        "age of the oldest unpaid invoice",
        "no invoice is open",
    ),
    *windows(
        "failed_payments_{}d",
        "count",
        ("payment.failed",),
        (90, 365),
        "payments",
        "failed payments in {} days",
    ),
    *windows(
        "disputes_{}d",
        "count",
        ("invoice.disputed",),
        (365,),
        "disputes",
        "disputed invoices in {} days",
    ),
    described(
        Feature(
            "open_disputes",
            "open_count",
            ("invoice.disputed",),
            closed_by=("invoice.dispute_settled", "invoice.credited"),
        ),
        "disputes",
        "disputes over invoices not yet settled",
    ),
)
