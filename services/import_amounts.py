"""Amounts as exact cents, without ever passing through a binary fraction."""

import polars as pl

_AMOUNT = r"^([+-]?)(\d{1,13})?(?:\.(\d{0,9})\d*)?$"
_BILLIONTHS = 1_000_000_000
_PER_CENT = _BILLIONTHS // 100
LARGEST_CENTS = 900_000_000_000_000  # nine trillion in currency units
LARGEST_FACTOR = 1_000_000_000  # times 10^22 billionths stays below 2^127


def read_cents(raw: pl.Series, times: pl.Series | None) -> pl.Series:
    """Read decimal texts as Int64 cents, half a cent rounded away from zero.

    Args:
        raw: amounts in currency units, such as '6.95' or '-.5'; no thousands marks.
        times: whole numbers to multiply by before rounding; a null multiplies to null.

    Returns:
        Cents; null where unreadable or beyond `LARGEST_CENTS`.
    """
    frame = pl.DataFrame({"raw": raw, "times": pl.Series([1]).new_from_index(0, len(raw))})
    if times is not None:
        frame = frame.with_columns(times.alias("times"))
    parts = (
        frame.with_columns(pl.col("raw").str.strip_chars())
        .select(
            pl.col("raw").str.contains(r"\d").alias("has_digit"),
            pl.col("raw").str.extract_groups(_AMOUNT).alias("parts"),
            "times",
        )
        .unnest("parts")
    )
    units = pl.col("2").fill_null("0").cast(pl.Int128)
    part = pl.col("3").fill_null("").str.pad_end(9, "0").cast(pl.Int128)
    sign = pl.when(pl.col("1") == "-").then(-1).otherwise(1)
    size = (units * _BILLIONTHS + part) * pl.col("times").abs().cast(pl.Int128)
    cents = (size + _PER_CENT // 2) // _PER_CENT
    signed = cents * sign * pl.when(pl.col("times") < 0).then(-1).otherwise(1)
    within = pl.col("times").is_between(-LARGEST_FACTOR, LARGEST_FACTOR)
    readable = pl.col("has_digit") & pl.col("1").is_not_null() & within
    return parts.select(
        pl.when(readable & (cents <= LARGEST_CENTS))
        .then(signed)
        .otherwise(None)
        .cast(pl.Int64, strict=False)
        .alias(raw.name)
    ).to_series()
