"""The hazard model's speed against its own booster alone, and how well churn is told."""

import numpy as np

from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.health_scale import figures as scale
from benchmarks.practice import World
from churn.definition import SILENCE, rhythm
from churn.design_matrix import period_rows
from churn.feature_rows import Array
from churn.features import matrix_of
from churn.labels import reachable
from churn.model import HazardModel

CONTACTS = 100_000
SCALED = 20_000  # a million: python -m benchmarks.health_scale
EXPLAINED = 2_000
SINGLE_ROWS = 2_000
# Hazards take the booster's time, the logistic's and that of two tables: at most three times it.
LEAST_SPEED = 1 / 3
LEAST_EXPLAINING = 1 / 1.2
MOST_MICROSECONDS = 10.0


def measure(world: World) -> Measured:
    """Predict for 100,000 contacts: whole probabilities, and the trees alone."""
    everybody = world.everybody.times(CONTACTS)
    model = everybody.playbook.model
    if model is None:
        return Measured((), ("churn: no figure of speed, the synthetic practice got no model.",))
    trained = model.trained
    standing = rhythm(
        everybody.tables.contacts, trained.definition, tenant_median_days=trained.tenant_median_days
    )
    matrix = matrix_of(everybody.tables.contacts, model.feature_names)
    left = standing.days_to_limit
    silence = matrix[:, model.feature_names.index(SILENCE)]
    rows = np.ascontiguousarray(period_rows(matrix, silence, left)[reachable(left) & (left > 0)])
    booster = model._booster
    seconds = median_seconds(
        {
            "ours": lambda: model.predict(matrix, left),
            "booster": lambda: booster.predict(rows, raw_score=True, num_threads=1),
        }
    )
    figures = (
        Figure(
            area="churn",
            name=f"hazards of {CONTACTS:,} contacts",
            value=CONTACTS / seconds["ours"],
            unit="contacts/s",
            reference=CONTACTS / seconds["booster"],
            against="Booster.predict alone, same rows, one thread",
            bar=LEAST_SPEED,
        ),
        _explanations(model, matrix, left),
        _single_rows(model, rows),
    )
    note = (
        f"churn: {len(rows):,} rows of trees: one per contact and 30-day period in which it "
        f"can churn; {booster.num_trees()} trees."
    )
    return Measured((*figures, *scale(SCALED)), (note,))


def _explanations(model: HazardModel, matrix: Array, left: Array) -> Figure:
    """Factors of those at risk, against the bare contributions of the same rows."""
    asked = np.flatnonzero(left > 0)[:EXPLAINED]
    silence = matrix[asked, model.feature_names.index(SILENCE)]
    rows = period_rows(matrix[asked], silence, left[asked])[:3]
    flat = np.ascontiguousarray(rows.reshape(-1, rows.shape[2]))
    seconds = median_seconds(
        {
            "ours": lambda: model.factors(matrix[asked], left[asked]),
            "contributions": lambda: model._booster.predict(flat, pred_contrib=True, num_threads=1),
        },
        rounds=3,
    )
    return Figure(
        area="churn",
        name=f"factors of {len(asked):,} contacts",
        value=seconds["ours"],
        unit="s",
        reference=seconds["contributions"],
        against="pred_contrib alone, same rows, one thread",
        bar=LEAST_EXPLAINING,
    )


def _single_rows(model: HazardModel, rows: Array) -> Figure:
    """One row at a time through the trees."""
    singles = [rows[place : place + 1] for place in range(min(SINGLE_ROWS, len(rows)))]
    booster = model._booster
    seconds = median_seconds(
        {
            "ours": lambda: [model._single(row) for row in singles],
            "booster": lambda: [
                booster.predict(row, raw_score=True, num_threads=1) for row in singles
            ],
        }
    )
    return Figure(
        area="churn",
        name="one row through the trees",
        value=1e6 * seconds["ours"] / len(singles),
        unit="µs",
        reference=1e6 * seconds["booster"] / len(singles),
        against="Booster.predict of one row, one thread",
        better="lower",
        reach=MOST_MICROSECONDS,
    )
