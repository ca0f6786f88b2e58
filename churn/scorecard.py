"""The scorecard: who may leave, by a table of points, where there is no model yet.

    P(the present silence is not broken in time) = 1 / (1 + 2 ^ -((START + points) / 10))
    P(churn within h days) = that x min(1, h / days left) ^ 3
    days left = limit x 2 ^ (-signs / 30) - silence, at least 1

Ten points double the odds. The last factor spreads the departure over the time that is left: near
certain to show by the limit, unlikely to show long before it. Signs of trouble (`signs`: the points
of those lines together, not under 0) make it show earlier: thirty of them halve the limit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.definition import HORIZONS, VISITS, Rhythm
from churn.feature_rows import Array, FeatureRows, column_of, has_column, height_of
from churn.hazards import Factor, Hazards, strongest_of
from engine.errors import InvalidInput

POINTS_PER_DOUBLING = 10.0
# A contact with one visit, in the first quarter of its limit, left in 63 of 100 cases: odds 1.7.
START = 8.0
SIGNS_PER_HALVING = 30.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        factor: stable name.
        column: the value looked at: a feature, or a key of `_derived`.
        steps: (at least, points), ascending; the last step reached counts; below the first, and
            where the value is not known, 0.
        text: for people; `{}` takes the value.
        reason: why these points.
        is_sign: whether the points also bring the departure forward.
    """

    factor: str
    column: str
    steps: tuple[tuple[float, float], ...]
    text: str
    reason: str
    is_sign: bool = False


_MEASURED = (
    "Measured: 32,173 snapshots of a gift wholesaler's customers, 2010-2011, share that left per "
    "cell; log-odds were additive in both."
)
_JUDGED = "Judged; no public log of this sign with departures was found."

TABLE: tuple[Line, ...] = (
    Line(
        "silence",
        "limit_share",
        ((0.25, 9), (0.5, 20), (0.75, 33), (0.9, 48)),
        "{:.0%} of the usual wait is used up",
        _MEASURED,
    ),
    Line(
        "visits",
        VISITS,
        ((2, -10), (3, -17), (4, -22), (6, -32)),
        "{:.0f} visits so far",
        _MEASURED,
    ),
    Line(
        "next_booking",
        "is_booked",
        ((1, -25),),
        "the next visit is booked",
        "A kept booking starts the silence anew; one in five booked appointments is missed.",
    ),
    Line(
        "no_shows",
        "no_shows_180d",
        ((1, 6), (2, 12), (3, 18)),
        "{:.0f} missed visits in 180 days",
        _JUDGED,
        is_sign=True,
    ),
    Line(
        "cancellations",
        "cancellations_180d",
        ((1, 3), (2, 8)),
        "{:.0f} cancelled visits in 180 days",
        _JUDGED,
        is_sign=True,
    ),
    Line(
        "complaints",
        "complaints_180d",
        ((1, 10), (2, 18)),
        "{:.0f} complaints in 180 days",
        _JUDGED,
        is_sign=True,
    ),
    Line(
        "credits",
        "credits_365d",
        ((2, 3),),
        "{:.0f} credit notes in 365 days",
        "Few points: the wholesaler's customers with credits left no more often than others.",
        is_sign=True,
    ),
    Line(
        "late_payments",
        "late_payments_365d",
        ((2, 4),),
        "{:.0f} invoices paid late in 365 days",
        _JUDGED,
        is_sign=True,
    ),
    Line(
        "replies",
        "answers_90d",
        ((1, -6), (3, -9)),
        "{:.0f} answers to messages in 90 days",
        _JUDGED,
        is_sign=True,
    ),
    Line(
        "unanswered",
        "unanswered_90d",
        ((3, 5), (6, 8)),
        "none of {:.0f} messages in 90 days opened or answered",
        _JUDGED,
        is_sign=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Card:
    """What the scorecard says about n contacts.

    Attributes:
        hazards: NaN without a visit, 1 past the limit, as for the model.
        points: (n, lines) in the order of `TABLE`.
        values: (n, lines), NaN where not known.
    """

    hazards: Hazards
    points: Array
    values: Array

    def factors(self, rows: NDArray[np.int64], *, most: int = 5) -> tuple[tuple[Factor, ...], ...]:
        """The lines that moved the risk of these rows most, strongest first; points in log-odds."""
        return tuple(_factors(self.points[row], self.values[row], most) for row in rows)


def scorecard(features: FeatureRows, standing: Rhythm) -> Card:
    """Points and probabilities of each contact.

    Args:
        features: rows with the columns of `features.churn_features`; a column that is absent or
            null gives no points, except those of the rhythm, which are needed.
        standing: from `definition.rhythm` of the same rows.
    """
    contacts = height_of(features)
    if len(standing.silence_days) != contacts:
        raise InvalidInput(
            f"One rhythm per feature row: {len(standing.silence_days)} for {contacts}."
        )
    derived = _derived(features, standing)
    values = np.column_stack([_value(features, derived, line.column) for line in TABLE])
    points = np.column_stack([_points(line, values[:, place]) for place, line in enumerate(TABLE)])
    # Summed line by line, so that a row's sum does not depend on the batch.
    total = np.full(contacts, START)
    signs = np.zeros(contacts)
    for place, line in enumerate(TABLE):
        total = total + points[:, place]
        signs = signs + (points[:, place] if line.is_sign else 0.0)
    leaving = 1.0 / (1.0 + np.exp2(-total / POINTS_PER_DOUBLING))
    shortened = standing.limit_days * np.exp2(-np.maximum(signs, 0.0) / SIGNS_PER_HALVING)
    left = np.maximum(shortened - standing.silence_days, 1.0)
    shares = [np.minimum(1.0, days / left) for days in HORIZONS]
    # A higher power is closer to the rule (nobody is declared before the limit), a lower one warns
    # earlier. On the wholesaler at 90 days the AUC is 0.915, 0.925, 0.930 with 2, 3, 4.
    within = np.stack([leaving * share * share * share for share in shares])
    hazards = Hazards.from_cumulative(within, standing.days_to_limit)
    return Card(hazards, points, values)


def _derived(features: FeatureRows, standing: Rhythm) -> Mapping[str, Array]:
    sent = _feature(features, "messages_sent_90d")
    answers = _sum_known(features, ("clicks_90d", "replies_90d"))
    heard = _sum_known(features, ("opens_90d", "clicks_90d", "replies_90d"))
    booked = ~np.isnan(_feature(features, "next_booking_in_days"))
    return {
        "limit_share": standing.silence_days / standing.limit_days,
        "is_booked": booked.astype(np.float64),
        "answers_90d": answers,
        "unanswered_90d": np.where(heard > 0, 0.0, sent),
    }


def _value(features: FeatureRows, derived: Mapping[str, Array], column: str) -> Array:
    return derived[column] if column in derived else _feature(features, column)


def _feature(features: FeatureRows, name: str) -> Array:
    if not has_column(features, name):
        return np.full(height_of(features), np.nan)
    return column_of(features, name)


def _sum_known(features: FeatureRows, names: Sequence[str]) -> Array:
    """Sum over what is known; NaN where nothing is."""
    columns = [_feature(features, name) for name in names]
    known = np.any([~np.isnan(column) for column in columns], axis=0)
    return np.where(known, np.sum([np.nan_to_num(column) for column in columns], axis=0), np.nan)


def _points(line: Line, values: Array) -> Array:
    points = np.zeros(len(values))
    for at_least, given in line.steps:
        points = np.where(values >= at_least, given, points)
    return points


def _factors(points: Array, values: Array, most: int) -> tuple[Factor, ...]:
    found = [
        Factor(
            factor=line.factor,
            value=float(values[place]),
            text=line.text.format(values[place]),
            points=round(float(points[place]) / POINTS_PER_DOUBLING * float(np.log(2)), 6),
        )
        for place, line in enumerate(TABLE)
        if points[place]
    ]
    return strongest_of(found, most)
