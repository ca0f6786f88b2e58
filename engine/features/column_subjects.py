"""Features of many contacts that follow what events are about: bookings, cases, properties."""

import json

import numpy as np
import polars as pl

from engine.features.column_history import Batch, Ints, integers, quotients
from engine.features.properties import property_in
from engine.features.spec import Feature, ValueType
from engine.features.wall_clock import DAY_US

_ABOUT = ["row", "subject"]
_DTYPES: dict[ValueType, type[pl.DataType]] = {
    "text": pl.String,
    "list": pl.String,
    "number": pl.Float64,
    "flag": pl.Boolean,
}


def days_until_next(batch: Batch, spec: Feature) -> pl.Series:
    """Unlike what `_opened` holds, a booking without a subject stands until its start."""
    family = batch.family(spec.types)
    opened = (
        family.frame.filter(pl.col("starts") > pl.Series(batch.as_of[family.rows]))
        .join(_closed(batch, spec.closed_by), on=_ABOUT, how="left")
        .filter((pl.col("closed") <= pl.col("instant")).fill_null(value=True))
    )
    rows: Ints = opened["row"].to_numpy()
    at = batch.clocks.wall(opened["starts"].to_numpy(), batch.clocks.code[rows])
    wait = np.maximum(batch.least(rows, at) - batch.now, 0)
    return quotients(wait, DAY_US, np.bincount(rows, minlength=batch.size) > 0)


def open_count(batch: Batch, spec: Feature) -> pl.Series:
    opened = _opened(batch, spec).unique(_ABOUT)
    return integers(np.bincount(opened["row"].to_numpy(), minlength=batch.size))


def oldest_open_days(batch: Batch, spec: Feature) -> pl.Series:
    opened = _opened(batch, spec)
    rows: Ints = opened["row"].to_numpy()
    known = np.bincount(rows, minlength=batch.size) > 0
    return quotients(batch.most(rows, opened["age"].to_numpy()), DAY_US, known)


def median_latency_days(batch: Batch, spec: Feature) -> pl.Series:
    about = pl.col("subject").is_not_null()
    asked = batch.family(spec.types).frame.filter(about)
    answers = batch.family(spec.of_types).frame.filter(about)
    # Strictly after: the answer is looked for from the next microsecond on.
    pairs = asked.select("row", "subject", "age", at=pl.col("instant") + 1).sort("at")
    replies = answers.select("row", "subject", "instant", answered="age").sort("instant")
    found = pairs.join_asof(
        replies,
        left_on="at",
        right_on="instant",
        by=_ABOUT,
        strategy="forward",
        check_sortedness=False,
    ).filter(pl.col("answered").is_not_null())
    if spec.window_days is not None:
        found = found.filter(pl.col("answered") <= spec.window_days * DAY_US)
    waits = np.maximum(found["age"].to_numpy() - found["answered"].to_numpy(), 0)
    medians, known = batch.median(found["row"].to_numpy(), waits)
    return quotients(medians, DAY_US, known)


def property_value(batch: Batch, spec: Feature) -> pl.Series:
    return _property(batch, spec, spec.property or spec.name, spec.value_type)


def given(batch: Batch, spec: Feature, value_type: ValueType = "text") -> pl.Series | None:
    """The attribute a spec reads, or the property in its place; None without such a column."""
    if spec.property is None:
        return batch.attribute(spec.attribute or spec.name)
    return _property(batch, spec, spec.property, value_type)


def _closed(batch: Batch, types: tuple[str, ...]) -> pl.DataFrame:
    """row, subject, closed: instant of the newest of these events; none of them, none closed."""

    def compute() -> pl.DataFrame:
        frame = batch.family(types).frame.filter(pl.col("subject").is_not_null())
        return frame.group_by(_ABOUT).agg(closed=pl.col("instant").max())

    return batch.once(("closed", types), compute)


def _opened(batch: Batch, spec: Feature) -> pl.DataFrame:
    """row, subject and age of events whose subject nothing has closed at or after them."""

    def compute() -> pl.DataFrame:
        return (
            batch.family(spec.types)
            .frame.filter(pl.col("subject").is_not_null())
            .join(_closed(batch, spec.closed_by), on=_ABOUT, how="left")
            .filter((pl.col("closed") < pl.col("instant")).fill_null(value=True))
            .select("row", "subject", "age")
        )

    opened = batch.once(("opened", spec.types, spec.closed_by), compute)
    if spec.window_days is None:
        return opened
    return opened.filter(pl.col("age") <= spec.window_days * DAY_US)


def _property(batch: Batch, spec: Feature, key: str, value_type: ValueType) -> pl.Series:
    def compute() -> pl.Series:
        return _newest_property(batch, spec.types, key, value_type)

    return batch.once(("property", spec.types, key, value_type), compute)


def _newest_property(
    batch: Batch, types: tuple[str, ...], key: str, value_type: ValueType
) -> pl.Series:
    text = pl.col("properties")
    # JSON may write the key with escapes; only then can a text name it without containing it.
    maybe = text.str.contains(json.dumps(key, ensure_ascii=False), literal=True)
    escaped = text.str.contains("\\", literal=True)
    having = batch.family(types or batch.types).frame.filter(maybe | escaped)
    texts = having["properties"].unique().to_list()
    read = [property_in(one, key, value_type) for one in texts]
    schema: dict[str, type[pl.DataType]] = {
        "properties": pl.String,
        "known": pl.Boolean,
        "found": _DTYPES[value_type],
    }
    columns = [texts, [known for known, _ in read], [found for _, found in read]]
    values = pl.DataFrame(columns, schema=schema).filter("known")
    newest = (
        having.select("row", "instant", "properties")
        .join(values, on="properties")
        .sort("row", "instant", "properties")
        .unique("row", keep="last")
    )
    return batch.people.select("row").join(newest, on="row", how="left", maintain_order="left")[
        "found"
    ]
