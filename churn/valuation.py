"""What a customer of this business will spend in twelve months, by the method that was right here.

Three methods are tried on the 120 days that a model is tested on, which none of them has seen:

    bg_nbd    visits to come x spend on a visit (BG/NBD and Gamma-Gamma); not for contracts
    survival  spend of the last year x the share of the time that the contact will still be here
    trees     boosted trees (Tweedie) on all features, from earlier origins

The one with the least mean absolute error serves. Its interval is made of how far it was off there:
a tenth and nine tenths of actual over expected money, by fifths of what was expected.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import lightgbm as lgb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.bg_nbd import BgNbd, Summary, fit_bg_nbd
from churn.definition import (
    AGE,
    HORIZON_DAYS,
    HORIZONS,
    SILENCE,
    VISITS,
    ChurnDefinition,
    rhythm_features,
)
from churn.feature_rows import Array, FeatureRows
from churn.features import churn_features, matrix_of
from churn.gamma_gamma import GammaGamma, fit_gamma_gamma
from churn.hazards import Hazards
from churn.lifetime_value import tweedie_trees
from churn.metrics import spearman
from churn.snapshots import History, Snapshot
from engine.errors import TooFewData
from engine.features.columns import feature_columns

YEAR_DAYS = 365.0
SPEND, LATELY = "spend_365d_cents", "visits_365d"
# Spend of a new contact is not stretched from less than a quarter to a year.
_SHORTEST_SPEND_DAYS = 90.0
_MIN_JUDGED = 50
_GROUPS = 5
_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Valuation:
    """How the money of contacts is told.

    Attributes:
        method: bg_nbd, survival or trees.
        visits, spend: parameters of BG/NBD and Gamma-Gamma; None unless it is their method.
        trees: LightGBM's text; None unless they are the method.
        judged: contacts it was judged on; mae and spearman: by method, of 120 days' money.
        bounds: expected money of 120 days at which the fifths begin, ascending.
        low, high: per fifth a tenth and nine tenths of actual over expected.
    """

    method: str
    visits: dict[str, float] | None
    spend: dict[str, float] | None
    trees: str | None
    judged: int
    mae: dict[str, float]
    spearman: dict[str, float]
    bounds: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `dataclasses.asdict` and JSON made of one."""
        lists = {name: tuple(values[name]) for name in ("bounds", "low", "high")}
        return cls(**(values | lists))


def staying(hazards: Hazards, alive_now: NDArray[np.bool_], days: float) -> Array:
    """Mean share of the next days that a contact is still here; after day 120 as before it."""
    steps = [alive_now.astype(np.float64), *(1 - hazards.within(each) for each in HORIZONS)]
    monthly = np.sqrt(np.sqrt(steps[-1]))
    months = round(days / _MONTH_DAYS)
    steps += [steps[-1] * monthly**month for month in range(1, months - len(HORIZONS) + 1)]
    return np.asarray(sum((steps[m] + steps[m + 1]) / 2 for m in range(months)) / months)


def yearly_spend(features: FeatureRows) -> Array:
    """Money of the last year; of contacts younger than it, stretched. NaN where nothing is told."""
    spent, visits, age = matrix_of(features, (SPEND, LATELY, AGE)).T
    span = np.clip(age, _SHORTEST_SPEND_DAYS, YEAR_DAYS)
    return np.where((visits > 0) & (spent == 0), np.nan, spent / 100 * YEAR_DAYS / span)


def by_survival(
    features: FeatureRows, hazards: Hazards, alive_now: NDArray[np.bool_], days: float
) -> Array:
    """Money of the next days: as in the last year, while the contact is still here."""
    return np.asarray(yearly_spend(features) * days / YEAR_DAYS * staying(hazards, alive_now, days))


def by_visits(visits: BgNbd, spend: GammaGamma, features: FeatureRows, days: float) -> Array:
    """Money of the next days: visits to come times spend on a visit. NaN where none ever came."""
    repeats, seen, mean = _summary(features)
    return np.where(
        np.isnan(repeats),
        np.nan,
        visits.visits(seen, days=days) * spend.spend(np.nan_to_num(repeats) + 1, mean),
    )


def _summary(features: FeatureRows) -> tuple[Array, Summary, Array]:
    names = (VISITS, SILENCE, AGE, SPEND, LATELY)
    count, silence, age, spent, lately = matrix_of(features, names).T
    came = (count >= 1) & ~np.isnan(silence) & ~np.isnan(age)
    repeats = np.where(came, np.maximum(count - 1, 0.0), np.nan)
    told = (lately > 0) & (spent > 0)
    mean = np.where(told, spent / 100 / np.maximum(lately, 1.0), np.nan)
    days = np.where(came, age, 0.0)
    last = np.clip(days - np.where(came, silence, 0.0), 0.0, days)
    return repeats, Summary(np.nan_to_num(repeats), last, days), mean


def money(
    value: Valuation,
    features: FeatureRows,
    matrix: Array,
    hazards: Hazards,
    alive_now: NDArray[np.bool_],
) -> tuple[Array, Array, Array]:
    """Expected money of twelve months with its interval; NaN where not known, 0 once churned.

    `matrix` holds the model's columns, which trees read; a row does not depend on the others.
    """
    if value.method == "bg_nbd" and value.visits and value.spend:
        visits, spend = BgNbd(**value.visits), GammaGamma(**value.spend)
        soon = by_visits(visits, spend, features, float(HORIZON_DAYS))
        year = by_visits(visits, spend, features, YEAR_DAYS)
    elif value.method == "trees" and value.trees:
        told = lgb.Booster(model_str=value.trees).predict(matrix, num_threads=1)
        soon = np.where(np.isnan(hazards.hazard_90d), np.nan, np.asarray(told))
        here = staying(hazards, alive_now, float(HORIZON_DAYS)) * HORIZON_DAYS
        longer = staying(hazards, alive_now, YEAR_DAYS) * YEAR_DAYS
        year = soon * longer / np.maximum(here, 1.0)
    else:
        soon = by_survival(features, hazards, alive_now, float(HORIZON_DAYS))
        year = by_survival(features, hazards, alive_now, YEAR_DAYS)
    year = np.where(alive_now, year, np.where(np.isnan(hazards.hazard_90d), np.nan, 0.0))
    group = np.searchsorted(np.array(value.bounds), np.nan_to_num(soon), side="right")
    return year, year * np.array(value.low)[group], year * np.array(value.high)[group]


def valuation(
    history: History,
    past: Sequence[Snapshot],
    test: Snapshot,
    hazards: Hazards,
    *,
    data_until: datetime,
    seed: int,
) -> Valuation | None:
    """The method that told the 120 days after `test` best; None without money, or too few.

    `hazards` are of the contacts of `test`, in order.
    """
    definition, origin = test.definition, test.origin
    if data_until < origin + timedelta(days=HORIZON_DAYS) or test.contacts.height < _MIN_JUDGED:
        return None
    actual = spent_after(history.events, definition, test)
    if not actual.sum() > 0:
        return None
    table = _table(history, definition, origin)
    asked = test.contacts.select("contact_id").join(
        table, on="contact_id", how="left", maintain_order="left"
    )
    here = np.ones(asked.height, dtype=np.bool_)
    told = {"survival": by_survival(asked, hazards, here, float(HORIZON_DAYS))}
    fitted: tuple[BgNbd, GammaGamma] | None = None
    if not definition.by_contract:
        fitted = _visits_and_spend(table)
    if fitted is not None:
        told["bg_nbd"] = by_visits(*fitted, asked, float(HORIZON_DAYS))
    closed = [s for s in past if s.origin + timedelta(days=HORIZON_DAYS) <= origin]
    booster: lgb.Booster | None = None
    if closed:
        rows = np.concatenate([each.features for each in closed])
        spent = np.concatenate([spent_after(history.events, definition, each) for each in closed])
        if spent.sum() > 0:
            booster = tweedie_trees(rows, spent, seed=seed)
            told["trees"] = np.asarray(booster.predict(test.features, num_threads=1))
    return _best(told, actual, fitted, booster)


def spent_after(events: pl.DataFrame, definition: ChurnDefinition, seen: Snapshot) -> Array:
    """Money of each contact of a snapshot in the 120 days after it, in units of currency."""
    end = seen.origin + timedelta(days=HORIZON_DAYS)
    spent = (
        events.filter(
            pl.col("type").is_in(definition.visit_types),
            pl.col("occurred_at") > seen.origin,
            pl.col("occurred_at") <= end,
        )
        .group_by("contact_id")
        .agg(pl.col("amount_cents").sum())
    )
    found = seen.contacts.select("contact_id").join(
        spent, on="contact_id", how="left", maintain_order="left"
    )
    cents = found["amount_cents"].cast(pl.Float64).fill_null(0.0).to_numpy()
    return np.asarray(np.maximum(cents, 0.0) / 100)


def _table(history: History, definition: ChurnDefinition, origin: datetime) -> pl.DataFrame:
    wanted = {each.name for each in rhythm_features(definition)} | {SPEND, LATELY}
    specs = [spec for spec in churn_features(definition) if spec.name in wanted]
    events = history.events.filter(pl.col("occurred_at") <= origin)
    return feature_columns(history.contacts, events, specs, as_of=origin)


def _visits_and_spend(table: pl.DataFrame) -> tuple[BgNbd, GammaGamma] | None:
    repeats, seen, mean = _summary(table)
    came = ~np.isnan(repeats)
    of = Summary(seen.repeats[came], seen.last_days[came], seen.age_days[came])
    try:
        return fit_bg_nbd(of), fit_gamma_gamma(of.repeats + 1, mean[came])
    except TooFewData:
        return None


def _best(
    told: dict[str, Array],
    actual: Array,
    fitted: tuple[BgNbd, GammaGamma] | None,
    booster: lgb.Booster | None,
) -> Valuation:
    told = {name: np.nan_to_num(values) for name, values in told.items()}
    mae = {name: float(np.abs(values - actual).mean()) for name, values in told.items()}
    method = min(mae, key=lambda name: (mae[name], name))
    expected = told[method]
    shares = np.linspace(0, 1, _GROUPS + 1)[1:-1]
    bounds = tuple(float(each) for each in np.quantile(expected, shares))
    group = np.searchsorted(np.array(bounds), expected, side="right")
    ratio = actual / np.maximum(expected, 1e-9)
    ends = [
        np.quantile(ratio[(group == each) & (expected > 0)], [0.1, 0.9])
        if ((group == each) & (expected > 0)).any()
        else np.zeros(2)
        for each in range(_GROUPS)
    ]
    chosen = fitted if method == "bg_nbd" else None
    return Valuation(
        method=method,
        visits=None if chosen is None else asdict(chosen[0]),
        spend=None if chosen is None else asdict(chosen[1]),
        trees=booster.model_to_string() if method == "trees" and booster is not None else None,
        judged=actual.size,
        mae={name: round(value, 4) for name, value in mae.items()},
        spearman={name: round(spearman(values, actual), 4) for name, values in told.items()},
        bounds=bounds,
        low=tuple(float(min(each[0], 1.0)) for each in ends),
        high=tuple(float(max(each[1], 1.0)) for each in ends),
    )
