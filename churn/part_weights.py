"""Weights of the parts of health that rank departures best, on windows that have closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl

from churn.components import Components, weighted_score
from churn.health_policy import PARTS
from churn.metrics import auc
from engine.errors import TooFewData

STEP = 0.1
MIN_CHURNED = 50
_DAYS = 90


@dataclass(frozen=True, slots=True)
class FittedWeights:
    """What the outcomes say.

    Attributes:
        weights: of each part, adding up to 1; null parts of a contact leave theirs to the others.
        known_share: share of rows in which each part is known.
        auc_then, auc_before: chance that who left had the lower health score, by these weights and
            by those before, on the windows the fit has not seen; None where nobody left there.
        rows, churned: fitted on.
        judged_rows, judged_churned: judged on.
    """

    weights: Mapping[str, float]
    known_share: Mapping[str, float]
    auc_then: float | None
    auc_before: float | None
    rows: int
    churned: int
    judged_rows: int
    judged_churned: int


def fit_weights(windows: pl.DataFrame, before: Mapping[str, float]) -> FittedWeights:
    """Every sharing in tenths is tried on all origins but the last third; the last third judges.

    The best by rank (AUC) wins, of equal ones the one nearest to `before`: weights that outcomes do
    not speak about stay as they were.

    Raises:
        TooFewData: under 50 departures in the windows of the fit, or a single origin.
    """
    closed = windows.filter(pl.col(f"churned_{_DAYS}").is_not_null()) if windows.height else windows
    origins = (
        closed["origin"].unique().sort() if closed.height else pl.Series([], dtype=pl.Datetime)
    )
    judged_from = origins[len(origins) - max(1, len(origins) // 3)] if len(origins) > 1 else None
    if judged_from is None:
        raise TooFewData(
            f"{len(origins)} closed windows are too few to fit weights and to judge them.",
            hint="The weights stay as they are.",
        )
    judged_from = origins[-max(1, len(origins) // 3)]
    learn = closed.filter(pl.col("origin") < judged_from)
    judge = closed.filter(pl.col("origin") >= judged_from)
    churned = int(learn[f"churned_{_DAYS}"].sum())
    if churned < MIN_CHURNED:
        raise TooFewData(
            f"Only {churned} departures to fit weights on; it takes {MIN_CHURNED}.",
            hint="The weights stay as they are.",
        )
    best = max(
        _sharings(),
        key=lambda weights: (round(_rank(learn, weights) or 0.5, 4), -_distance(weights, before)),
    )
    return FittedWeights(
        weights=best,
        known_share={part: 1 - learn[part].null_count() / learn.height for part in PARTS},
        auc_then=_rank(judge, best),
        auc_before=_rank(judge, before),
        rows=learn.height,
        churned=churned,
        judged_rows=judge.height,
        judged_churned=int(judge[f"churned_{_DAYS}"].sum()),
    )


def _sharings() -> list[dict[str, float]]:
    tenths = round(1 / STEP)
    return [
        {part: round(n * STEP, 6) for part, n in zip(PARTS, shares, strict=True)}
        for shares in product(range(tenths + 1), repeat=len(PARTS))
        if sum(shares) == tenths
    ]


def _distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return sum(abs(one[part] - other[part]) for part in PARTS)


def _rank(rows: pl.DataFrame, weights: Mapping[str, float]) -> float | None:
    parts = Components({part: rows[part].fill_null(np.nan).to_numpy() for part in PARTS}, {})
    score = weighted_score(parts, weights)
    known = ~np.isnan(score)
    return auc(rows[f"churned_{_DAYS}"].to_numpy()[known], -score[known]) if known.any() else None
