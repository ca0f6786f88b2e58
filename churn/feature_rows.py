"""Feature rows as this package is given them: a frame, or plain columns where a frame costs more.

Building a frame of one row takes longer than all arithmetic on it; both forms give the same bits.
"""

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Plain columns are float64 by feature name, all of one length, NaN = not known.
FeatureRows = pl.DataFrame | Mapping[str, Array]


def has_column(rows: FeatureRows, name: str) -> bool:
    """Whether the feature is among the columns."""
    return name in (rows.columns if isinstance(rows, pl.DataFrame) else rows)


def column_of(rows: FeatureRows, name: str) -> Array:
    """The column as float64, its own copy if it comes from a frame; null becomes NaN.

    The column must be there, see `has_column`.
    """
    if not isinstance(rows, pl.DataFrame):
        return rows[name]
    column = rows.get_column(name).cast(pl.Float64).fill_null(float("nan"))
    return column.to_numpy(writable=True)


def height_of(rows: FeatureRows) -> int:
    """The number of rows."""
    if isinstance(rows, pl.DataFrame):
        return rows.height
    return len(next(iter(rows.values()))) if rows else 0
