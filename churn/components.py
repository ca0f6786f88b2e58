"""The visible parts of health, 0 to 100 each, by fixed formulas, and their weighted mean.

A part that there is nothing to judge by is not known: never a middle value. A contact's scores
don't depend on who is scored beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from churn.definition import SILENCE, Rhythm
from churn.feature_rows import Array, FeatureRows, column_of, has_column, height_of
from churn.health_policy import PARTS

_BOOKED_AT_LEAST = 70
_POINTS_PER_NO_SHOW = 10
_NO_SHOW_POINTS_AT_MOST = 30
_SURVEY_WEIGHT = 0.75  # of a survey's answer beside the tone of what they write
_POINTS_PER_COMPLAINT = 40
_POINTS_PER_OPEN_TICKET = 10
_POINTS_PER_LATE_PAYMENT = 20
_POINTS_PER_FAILED_PAYMENT = 15
_POINTS_PER_OPEN_DISPUTE = 20
# Mail programs open messages by themselves.
_WEIGHT_OF_OPEN = 0.25

# What each part is made of: the inputs that are shown beside it.
INPUTS: Mapping[str, tuple[str, ...]] = {
    "engagement": (SILENCE, "limit_days", "next_booking_in_days", "no_shows_180d"),
    "satisfaction": (
        "last_satisfaction",
        "satisfaction_365d",
        "last_review_stars",
        "sentiment_365d",
        "complaints_180d",
        "open_tickets",
    ),
    "payment_behavior": (
        "late_payment_share_365d",
        "late_payments_365d",
        "failed_payments_90d",
        "open_disputes",
    ),
    "communication_responsiveness": (
        "messages_sent_365d",
        "replies_365d",
        "clicks_365d",
        "opens_365d",
        "email_out_365d",
        "email_in_365d",
        "sms_out_365d",
        "sms_in_365d",
    ),
}
READ = tuple(
    dict.fromkeys(
        name for names in INPUTS.values() for name in names if name not in {"limit_days", SILENCE}
    )
)


@dataclass(frozen=True, slots=True)
class Components:
    """The parts of n contacts.

    Attributes:
        scores: by part, (n,) whole numbers 0 to 100, NaN where not known.
        inputs: by part and input, (n,), NaN where not known.
    """

    scores: Mapping[str, Array]
    inputs: Mapping[str, Mapping[str, Array]]


def component_scores(features: FeatureRows, standing: Rhythm) -> Components:
    """The parts of each row.

    engagement: share of the limit that is left; at least 70 with a visit booked; 10 less for each
        visit missed in 180 days, at most 30. Not known without a visit.
    satisfaction: three quarters survey (mean of the last answer and the year's, else the stars of
        the last review) and one quarter tone of what the contact wrote, or the one that is known;
        100 where only complaints or tickets speak; 40 less for each complaint in 180 days, 10 less
        for each open ticket. Not known if nothing of it was ever heard.
    payment_behavior: 100, less 20 for each invoice paid late in 365 days, 15 for each payment that
        failed in 90, 20 for each open dispute. Not known if nothing was paid, failed or disputed.
    communication_responsiveness: answers (replies and clicks; an open counts a quarter) per message
        sent in 365 days; where we sent none, incoming per outgoing e-mail and text message of the
        CRM. Not known without an outgoing one.

    Args:
        features: rows with the columns `READ`; an absent one is not known.
        standing: from `definition.rhythm` of the same rows.
    """
    columns = {name: _feature(features, name) for name in READ} | {
        SILENCE: standing.silence_days,
        "limit_days": standing.limit_days,
    }
    judged = (
        _engagement(columns, standing),
        _satisfaction(columns),
        _payment(columns),
        _responsiveness(columns),
    )
    return Components(
        scores={
            part: np.asarray(np.round(np.clip(score, 0.0, 100.0)), dtype=np.float64)
            for part, score in zip(PARTS, judged, strict=True)
        },
        inputs={part: {name: columns[name] for name in INPUTS[part]} for part in PARTS},
    )


def weighted_score(parts: Components, weights: Mapping[str, float]) -> Array:
    """The health score: mean of the known parts by their weights, whole points; NaN without one.

    Where the known parts weigh nothing at all, they weigh the same.
    """
    total, weight, plain, known = (np.zeros(len(parts.scores[PARTS[0]])) for _ in range(4))
    for part in PARTS:
        score = parts.scores[part]
        here = ~np.isnan(score)
        filled = np.where(here, score, 0.0)
        total += weights[part] * filled
        weight += weights[part] * here
        plain += filled
        known += here
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(weight > 0, total / weight, plain / known)
    return np.asarray(np.round(mean))


def _engagement(columns: Mapping[str, Array], standing: Rhythm) -> Array:
    base = 100 * np.clip(1 - standing.silence_days / standing.limit_days, 0, 1)
    booked = ~np.isnan(columns["next_booking_in_days"])
    missed = np.nan_to_num(columns["no_shows_180d"]) * _POINTS_PER_NO_SHOW
    floored = np.where(booked, np.maximum(base, _BOOKED_AT_LEAST), base)
    return np.asarray(floored - np.minimum(missed, _NO_SHOW_POINTS_AT_MOST))


def _satisfaction(columns: Mapping[str, Array]) -> Array:
    last, year = columns["last_satisfaction"], columns["satisfaction_365d"]
    survey = 10 * np.where(np.isnan(year), last, (last + year) / 2)
    survey = np.where(np.isnan(survey), 25 * (columns["last_review_stars"] - 1), survey)
    tone = 50 + 50 * columns["sentiment_365d"]
    both = _SURVEY_WEIGHT * survey + (1 - _SURVEY_WEIGHT) * tone
    base = np.where(np.isnan(both), np.where(np.isnan(survey), tone, survey), both)
    complaints = np.nan_to_num(columns["complaints_180d"])
    tickets = np.nan_to_num(columns["open_tickets"])
    base = np.where(np.isnan(base) & (complaints + tickets > 0), 100.0, base)
    return np.asarray(base - complaints * _POINTS_PER_COMPLAINT - tickets * _POINTS_PER_OPEN_TICKET)


def _payment(columns: Mapping[str, Array]) -> Array:
    late = np.nan_to_num(columns["late_payments_365d"])
    failed = np.nan_to_num(columns["failed_payments_90d"])
    disputed = np.nan_to_num(columns["open_disputes"])
    known = ~np.isnan(columns["late_payment_share_365d"]) | (late + failed + disputed > 0)
    score = (
        100
        - late * _POINTS_PER_LATE_PAYMENT
        - failed * _POINTS_PER_FAILED_PAYMENT
        - disputed * _POINTS_PER_OPEN_DISPUTE
    )
    return np.where(known, score, np.nan)


def _responsiveness(columns: Mapping[str, Array]) -> Array:
    answers = (
        np.nan_to_num(columns["replies_365d"])
        + np.nan_to_num(columns["clicks_365d"])
        + _WEIGHT_OF_OPEN * np.nan_to_num(columns["opens_365d"])
    )
    sent = np.nan_to_num(columns["messages_sent_365d"])
    out = np.nan_to_num(columns["email_out_365d"]) + np.nan_to_num(columns["sms_out_365d"])
    back = np.nan_to_num(columns["email_in_365d"]) + np.nan_to_num(columns["sms_in_365d"])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(sent > 0, answers / sent, np.where(out > 0, back / out, np.nan))
    return np.asarray(100 * share)


def _feature(features: FeatureRows, name: str) -> Array:
    if not has_column(features, name):
        return np.full(height_of(features), np.nan)
    return column_of(features, name)
