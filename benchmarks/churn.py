"""The hazard model against its own booster alone, on the same rows."""

import numpy as np

from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.practice import World
from churn.definition import SILENCE, rhythm
from churn.design_matrix import period_rows
from churn.features import matrix_of
from churn.labels import reachable

CONTACTS = 100_000


def measure(world: World) -> Measured:
    """Predict for 100,000 contacts: whole probabilities, and the trees alone."""
    everybody = world.everybody.times(CONTACTS)
    model = everybody.playbook.model
    if model is None:
        return Measured((), ("churn: no figure, the synthetic practice got no model.",))
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
    return Measured(
        (
            Figure(
                area="churn",
                name=f"hazards of {CONTACTS:,} contacts",
                value=CONTACTS / seconds["ours"],
                unit="contacts/s",
                reference=CONTACTS / seconds["booster"],
                against="Booster.predict alone, same rows, one thread",
            ),
        ),
        (
            f"churn: {len(rows):,} rows of trees: one per contact and 30-day period in which it "
            f"can churn; {booster.num_trees()} trees.",
        ),
    )
