"""An amount in a file is the same amount in cents, to the cent."""

from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.import_amounts import read_cents


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("6.95", 695),
        ("-.5", -50),
        ("12.", 1200),
        ("1.005", 101),  # 1.00 as a binary fraction
        ("-0.005", -1),
        ("0", 0),
        ("9000000000000", 900_000_000_000_000),
        ("9000000000001", None),
        ("1e5", None),
        ("NaN", None),
        ("inf", None),
        ("1,000.00", None),
        ("-", None),
        (".", None),
        (None, None),
    ],
)
def test_an_amount_is_exact_or_unreadable(text, cents):
    assert read_cents(pl.Series([text], dtype=pl.String), None)[0] == cents


@given(st.decimals(-(10**6), 10**6, places=4, allow_nan=False), st.integers(-(10**4), 10**4))
def test_price_times_quantity_is_rounded_once_half_away_from_zero(price, quantity):
    expected = (price * quantity * 100).quantize(Decimal(1), ROUND_HALF_UP)
    found = read_cents(pl.Series([f"{price:f}"]), pl.Series([quantity]))[0]
    assert found == int(expected)


def test_a_quantity_beyond_reason_does_not_wrap_around():
    assert read_cents(pl.Series(["9999999999999.99"]), pl.Series([10**18]))[0] is None
