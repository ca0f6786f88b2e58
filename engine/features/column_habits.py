"""Habits of many contacts, as columns: the same features as `contact_habits.py`."""

import numpy as np
import polars as pl

from engine.features.column_history import Batch, Flags, Floats, Ints, integers, quotients
from engine.features.contact_habits import YEAR_DAYS
from engine.features.contact_history import MILLION
from engine.features.properties import property_in
from engine.features.spec import Feature
from engine.features.wall_clock import DAY_US


def interval_spread(batch: Batch, spec: Feature) -> pl.Series:
    rows, gaps = day_gaps(batch, spec.types)
    counts = np.bincount(rows, minlength=batch.size)
    medians, _ = batch.median(rows, gaps)
    twice = np.rint(2 * medians).astype(np.int64)
    off = np.zeros(batch.size, dtype=np.int64)
    np.add.at(off, rows, np.abs(2 * gaps - twice[rows]))
    return quotients(off, counts * twice, counts > 1)


def day_gaps(batch: Batch, types: tuple[str, ...]) -> tuple[Ints, Ints]:
    """Days between neighbours among a contact's distinct local days with an event, by row."""

    def compute() -> tuple[Ints, Ints]:
        family = batch.family(types)
        days = (batch.now[family.rows] - family.ages) // DAY_US
        order = np.lexsort((days, family.rows))
        rows, gaps = family.rows[order][1:], np.diff(days[order])
        within = (np.diff(family.rows[order]) == 0) & (gaps > 0)
        return rows[within], gaps[within]

    return batch.once(("day gaps", types), compute)


def median_lead_days(batch: Batch, spec: Feature) -> pl.Series:
    family = batch.family(spec.types)
    booked = family.within(spec.window_days) & family.frame["starts"].is_not_null().to_numpy()
    rows = family.rows[booked]
    starts: Ints = family.frame["starts"].filter(pl.Series(booked)).to_numpy()
    begins = batch.clocks.wall(starts, batch.clocks.code[rows])
    leads = np.maximum(begins - (batch.now[rows] - family.ages[booked]), 0)
    medians, known = batch.median(rows, leads)
    return quotients(medians, DAY_US, known)


def mean_change(batch: Batch, spec: Feature) -> pl.Series:
    family = batch.family(spec.types)
    window = (spec.window_days or 0) * DAY_US
    carry = family.frame["value"].is_not_null().to_numpy()
    new = carry & (family.ages <= window)
    old = carry & (family.ages > window) & (family.ages <= 2 * window)
    means_now, known_now = _means(batch, spec.types, new)
    means_before, known_before = _means(batch, spec.types, old)
    change = pl.Series(means_now - means_before, dtype=pl.Float64)
    return change.set(pl.Series(~(known_now & known_before)), None)


def _means(batch: Batch, types: tuple[str, ...], chosen: Flags) -> tuple[Floats, Flags]:
    family = batch.family(types)
    total = np.zeros(batch.size, dtype=np.int64)
    np.add.at(total, family.rows[chosen], family.frame["value"].fill_null(0).to_numpy()[chosen])
    counts = np.bincount(family.rows[chosen], minlength=batch.size)
    known = counts > 0
    means = np.zeros(batch.size)
    np.divide(total, counts * MILLION, out=means, where=known)
    return means, known


def season_count(batch: Batch, spec: Feature) -> pl.Series:
    nearest = YEAR_DAYS - (spec.window_days or 0)
    return integers(batch.count(spec.types, YEAR_DAYS) - batch.count(spec.types, nearest))


def distinct_count(batch: Batch, spec: Feature) -> pl.Series:
    said = _said(batch, spec)
    inside = _inside(said, spec.window_days).unique(["row", "text"])
    known = np.bincount(said["row"].to_numpy(), minlength=batch.size) > 0
    return integers(np.bincount(inside["row"].to_numpy(), minlength=batch.size), known)


def top_share(batch: Batch, spec: Feature) -> pl.Series:
    inside = _inside(_said(batch, spec), spec.window_days)
    each = inside.group_by("row", "text").agg(times=pl.len().cast(pl.Int64))
    most = batch.most(each["row"].to_numpy(), each["times"].to_numpy())
    whole = np.bincount(inside["row"].to_numpy(), minlength=batch.size)
    return quotients(most, whole, whole > 0)


def _said(batch: Batch, spec: Feature) -> pl.DataFrame:
    """row, text, age of the events that carry a text under the property."""
    key = spec.property or spec.name

    def compute() -> pl.DataFrame:
        having = batch.family(spec.types).frame.filter(pl.col("properties").is_not_null())
        texts = having["properties"].unique().to_list()
        read = [property_in(one, key, "text")[1] for one in texts]
        known = pl.DataFrame(
            [texts, read], schema={"properties": pl.String, "text": pl.String}
        ).drop_nulls()
        return having.join(known, on="properties").select("row", "text", "age")

    return batch.once(("said", spec.types, key), compute)


def _inside(said: pl.DataFrame, window_days: int | None) -> pl.DataFrame:
    return said if window_days is None else said.filter(pl.col("age") <= window_days * DAY_US)
