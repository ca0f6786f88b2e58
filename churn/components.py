"""Four component scores, 0 to 100, by fixed formulas; null where there is nothing to judge by.

They are shown beside the health score and explain nothing of it: the health score is the model's.
A contact's scores don't depend on who is scored beside it.
"""

from collections.abc import Collection

import polars as pl

from churn.definition import Rhythm

# An event type of each source; a tenant that never sent one of them has not connected it, and a
# count of zero then means 'not known'.
SATISFACTION_TYPES = frozenset({"complaint.opened"})
PAYMENT_TYPES = frozenset({"invoice.paid", "invoice.paid_late"})

_BOOKED_AT_LEAST = 70
_POINTS_PER_NO_SHOW = 10
_NO_SHOW_POINTS_AT_MOST = 30
_POINTS_PER_COMPLAINT = 40
_POINTS_PER_LATE_PAYMENT = 20
# Mail programs open messages by themselves.
_WEIGHT_OF_OPEN = 0.25

COLUMNS = (
    "engagement_score",
    "satisfaction_score",
    "payment_behavior_score",
    "communication_responsiveness_score",
)


def component_scores(
    features: pl.DataFrame, standing: Rhythm, connected: Collection[str]
) -> pl.DataFrame:
    """The columns `COLUMNS`, Int64, in the order of `features`.

    engagement: share of the limit that is left; at least 70 with a visit booked; 10 less for each
        visit missed in 180 days, at most 30. Null without a visit.
    satisfaction: 40 less for each complaint in 180 days. Null unless complaints are connected.
    payment_behavior: 20 less for each invoice paid late in 365 days. Null unless payments are
        connected.
    communication_responsiveness: answers (replies and clicks; an open counts a quarter) per message
        sent in 365 days. Null without messages.

    Args:
        features: rows with the columns of `features.churn_features`; an absent column is null.
        standing: from `definition.rhythm` of the same rows.
        connected: the event types the tenant has ever sent.
    """
    table = features.with_columns(
        left_share=pl.Series(1.0 - standing.silence_days / standing.limit_days).fill_nan(None)
    )
    known = set(connected)
    return table.select(
        _score(_engagement(table), "engagement_score"),
        _score(
            _without(table, "complaints_180d", _POINTS_PER_COMPLAINT)
            if known & SATISFACTION_TYPES
            else pl.lit(None),
            "satisfaction_score",
        ),
        _score(
            _without(table, "late_payments_365d", _POINTS_PER_LATE_PAYMENT)
            if known & PAYMENT_TYPES
            else pl.lit(None),
            "payment_behavior_score",
        ),
        _score(_responsiveness(table), "communication_responsiveness_score"),
    )


def _engagement(table: pl.DataFrame) -> pl.Expr:
    base = 100 * pl.col("left_share").clip(0, 1)
    booked = _column(table, "next_booking_in_days").is_not_null() & base.is_not_null()
    missed = _column(table, "no_shows_180d").fill_null(0) * _POINTS_PER_NO_SHOW
    floored = (
        pl.when(booked).then(pl.max_horizontal(base, pl.lit(_BOOKED_AT_LEAST))).otherwise(base)
    )
    return floored - missed.clip(upper_bound=_NO_SHOW_POINTS_AT_MOST)


def _without(table: pl.DataFrame, name: str, points: int) -> pl.Expr:
    return 100 - _column(table, name) * points


def _responsiveness(table: pl.DataFrame) -> pl.Expr:
    sent = _column(table, "messages_sent_365d")
    answers = pl.sum_horizontal(_column(table, "replies_365d"), _column(table, "clicks_365d"))
    opens = _column(table, "opens_365d").fill_null(0)
    return pl.when(sent > 0).then(100 * (answers + _WEIGHT_OF_OPEN * opens) / sent)


def _column(table: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name) if name in table.columns else pl.lit(None)
    return column.cast(pl.Float64)


def _score(value: pl.Expr, name: str) -> pl.Expr:
    return value.cast(pl.Float64).clip(0, 100).round().cast(pl.Int64).alias(name)
