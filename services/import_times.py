"""Times as people write them, read as UTC."""

from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.features.wall_clock import DAY_US, wall_us_of

EARLIEST_YEAR, LATEST_YEAR = 1900, 2100

# year-month-day, then maybe a time, then maybe an offset
_ISO = (
    r"^(?<day>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?<clock>\d{2}:\d{2}(?::\d{2})?)(?:[.,](?<part>\d{1,9}))?)?"
    r"\s*(?<offset>[Zz]|UTC|[+-](?:0\d|1[0-4])(?::?[0-5]\d)?)?$"
)
_HALVINGS = 43  # of a day and a half in microseconds, down to one


def local_to_utc(wall_us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Instants (microseconds UTC) of wall-clock times (microseconds since 1970 local).

    A time that occurs twice is the first one; a time that the clock skips is the moment at which
    it jumps: the earliest valid time in both cases. Assumes at most one change in two days.
    """
    before = wall_us_of(wall_us - DAY_US, zone) - (wall_us - DAY_US)
    after = wall_us_of(wall_us + DAY_US, zone) - (wall_us + DAY_US)
    with_before, with_after = wall_us - before, wall_us - after
    earlier = np.minimum(with_before, with_after)
    later = np.maximum(with_before, with_after)
    instants = np.where(wall_us_of(earlier, zone) == wall_us, earlier, later)
    skipped = np.flatnonzero(wall_us_of(instants, zone) != wall_us)
    if len(skipped):
        instants[skipped] = _jumps(earlier[skipped], later[skipped], zone)
    return instants


def _jumps(low: NDArray[np.int64], high: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """The moment between `low` and `high` at which the offset changes."""
    low, high = low.copy(), high.copy()
    new_offset = wall_us_of(high, zone) - high
    for _ in range(_HALVINGS):
        middle = (low + high) // 2
        changed = wall_us_of(middle, zone) - middle == new_offset
        high = np.where(changed, middle, high)
        low = np.where(changed, low, middle)
    return high


def read_times(
    raw: pl.Series, zone: ZoneInfo, *, form: str | None, clock: str | None, ignore_offsets: bool
) -> tuple[pl.Series, pl.Series]:
    """Read texts (or Parquet's own times) as Datetime('us', 'UTC').

    Args:
        raw: text, or Datetime with or without zone.
        zone: of times without an offset.
        form: strptime format of a file that is not ISO 8601.
        clock: 'HH:MM', the local time of day to take for a column that holds days.
        ignore_offsets: True: an offset behind the time means nothing.

    Returns:
        The instants, null where unreadable or outside of 1900 to 2100, and of each readable one
        whether it lies outside.
    """
    parts = _typed_parts(raw) if isinstance(raw.dtype, pl.Datetime) else _text_parts(raw, form)
    local = parts["local"]
    if clock is not None:
        hours, minutes = map(int, clock.split(":"))
        local = parts.select(
            pl.col("local").dt.truncate("1d") + pl.duration(hours=hours, minutes=minutes)
        ).to_series()
    inside = local.dt.year().is_between(EARLIEST_YEAR, LATEST_YEAR)
    outside = local.is_not_null() & ~inside
    # year 2000 stands in where there is no time, so that the arithmetic below stays in range
    safe = (
        local.set(~inside.fill_null(value=False), None)
        .cast(pl.Int64)
        .fill_null(946_684_800_000_000)
    )
    wall = safe.to_numpy().astype(np.int64)
    offset = parts["offset"]
    if ignore_offsets or clock is not None or offset.is_null().all():
        instants = local_to_utc(wall, zone)
    elif not offset.is_null().any():
        instants = wall - offset.to_numpy()
    else:
        given = offset.fill_null(0).to_numpy()
        instants = np.where(offset.is_null().to_numpy(), local_to_utc(wall, zone), wall - given)
    found = pl.Series(raw.name, instants).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return found.set(~inside.fill_null(value=False), None), outside


def _typed_parts(raw: pl.Series) -> pl.DataFrame:
    dtype = raw.dtype
    zoned = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    local = raw.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zoned else raw
    offset = pl.Series([0 if zoned else None], dtype=pl.Int64).new_from_index(0, len(raw))
    return pl.DataFrame({"local": local, "offset": offset})


def _text_parts(raw: pl.Series, form: str | None) -> pl.DataFrame:
    frame = pl.DataFrame({"raw": raw})
    if form is not None:
        return frame.select(
            pl.col("raw").str.to_datetime(form, strict=False, time_unit="us").alias("local"),
            pl.lit(None, pl.Int64).alias("offset"),
        )
    found = frame.select(pl.col("raw").str.extract_groups(_ISO).alias("iso")).unnest("iso")
    clock = pl.col("clock").fill_null("00:00")
    full = pl.when(clock.str.len_bytes() == 5).then(clock + ":00").otherwise(clock)
    offset = pl.col("offset").str.replace(":", "", literal=True)
    digits = offset.str.slice(1).str.pad_end(4, "0")
    minutes = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(
        2, 2
    ).cast(pl.Int64, strict=False)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    return found.select(
        (
            (pl.col("day") + " " + full).str.to_datetime(
                "%Y-%m-%d %H:%M:%S", strict=False, time_unit="us"
            )
            + pl.duration(
                microseconds=pl.col("part")
                .fill_null("0")
                .str.pad_end(6, "0")
                .str.slice(0, 6)
                .cast(pl.Int64)
            )
        ).alias("local"),
        pl.when(offset.str.contains(r"^[+-]"))
        .then(sign * minutes * 60_000_000)
        .when(offset.is_not_null())
        .then(0)
        .alias("offset"),
    )
