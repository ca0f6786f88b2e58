"""A frame and plain columns are two forms of the same rows: they give the same bits."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.definition import ChurnDefinition, rhythm
from churn.features import churn_features, matrix_of
from churn.scorecard import scorecard
from engine.errors import InvalidInput

DEFINITION = ChurnDefinition(("appointment.kept",))
NAMES = tuple(spec.name for spec in churn_features(DEFINITION))
value = st.none() | st.integers(0, 900) | st.floats(0, 900)


@given(st.lists(st.lists(value, min_size=len(NAMES), max_size=len(NAMES)), min_size=1, max_size=4))
def test_health_is_the_same_from_a_frame_and_from_plain_columns(rows: list[list]) -> None:
    by_name = dict(zip(NAMES, zip(*rows, strict=True), strict=True))
    frame = pl.DataFrame(
        {n: pl.Series(v, dtype=pl.Float64, strict=False) for n, v in by_name.items()}
    )
    columns = {
        name: np.array([np.nan if v is None else float(v) for v in values])
        for name, values in by_name.items()
    }
    assert matrix_of(frame, NAMES).tobytes() == matrix_of(columns, NAMES).tobytes()
    one = rhythm(frame, DEFINITION, tenant_median_days=45.0)
    other = rhythm(columns, DEFINITION, tenant_median_days=45.0)
    assert one.days_to_limit.tobytes() == other.days_to_limit.tobytes()
    told, again = scorecard(frame, one), scorecard(columns, other)
    assert told.points.tobytes() == again.points.tobytes()
    assert told.hazards.hazard_90d.tobytes() == again.hazards.hazard_90d.tobytes()


def test_plain_columns_that_are_missing_are_named() -> None:
    with pytest.raises(InvalidInput, match="visits_total"):
        rhythm({"visits_90d": np.ones(1)}, DEFINITION, tenant_median_days=45.0)
    with pytest.raises(InvalidInput, match="opens_90d"):
        matrix_of({"visits_90d": np.ones(1)}, ["visits_90d", "opens_90d"])
