"""Features and chances of leaving for very many contacts, against LightGBM's prediction alone.

    python -m benchmarks.health_scale [--contacts 1000000] [--json]

A synthetic business of 2,000 contacts with a year of events, over and over under ids of their own,
in parts as the nightly analysis takes them. No database: measured is what the cores compute.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from benchmarks.figures import Figure
from churn.definition import industry_definition, rhythm
from churn.design_matrix import PERIOD_COLUMNS
from churn.features import churn_features, matrix_of
from churn.model import HazardModel
from churn.train import train
from engine.features.columns import feature_columns

OF_ONE_KIND = 2_000
PART = 50_000
MOST_TIMES = 3.0
MOST_BYTES = 6 * 2**30
_THREADS = 2
_DAYS = 720
_START = datetime(2024, 1, 1, tzinfo=UTC)
_TYPES = (
    "appointment.booked",
    "appointment.kept",
    "invoice.issued",
    "message.sent",
    "message.opened",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took.

    Attributes:
        ours_seconds: features, rhythm and chances; booster_seconds: `Booster.predict` of one row
            per contact of the same matrix, on as many threads.
    """

    contacts: int
    events: int
    ours_seconds: float
    booster_seconds: float
    peak_bytes: int

    @property
    def times(self) -> float:
        """How many times the booster's time ours is."""
        return self.ours_seconds / self.booster_seconds


def history(seed: int = 1) -> pl.DataFrame:
    """Events of a business whose contacts come every 20 to 90 days and leave in the end."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, datetime, int | None]] = []
    for number in range(OF_ONE_KIND):
        day, gap = rng.uniform(0, 400), rng.uniform(20, 90)
        ends = day + rng.exponential(500.0)
        while day < min(ends, _DAYS):
            at = _START + timedelta(days=float(day))
            for hours, kind in enumerate(_TYPES):
                amount = 5_000 if kind == "invoice.issued" else None
                rows.append((f"c{number:05}", kind, at + timedelta(hours=hours), amount))
            day += rng.gamma(3.0, gap / 3.0)
    return pl.DataFrame(
        {
            "contact_id": [row[0] for row in rows],
            "type": [row[1] for row in rows],
            "occurred_at": pl.Series([row[2] for row in rows], dtype=pl.Datetime("us", "UTC")),
            "amount_cents": pl.Series([row[3] for row in rows], dtype=pl.Int64),
            "subject": pl.Series([None] * len(rows), dtype=pl.String),
            "starts_at": pl.Series([None] * len(rows), dtype=pl.Datetime("us", "UTC")),
        }
    ).sort("occurred_at", "contact_id")


def measure(contacts: int) -> Measured:
    """Compute them all, part by part; the clock stands still while parts are made."""
    events = history()
    until = _START + timedelta(days=_DAYS)
    people = (
        events.select("contact_id")
        .unique()
        .sort("contact_id")
        .with_columns(timezone=pl.lit("America/New_York"))
    )
    definition = industry_definition("", ("appointment.kept",))
    model = HazardModel(train(people, events, definition, as_of=until), threads=_THREADS)
    specs = churn_features(definition)
    lately = events.filter(pl.col("occurred_at") > until - timedelta(days=365))
    ours = booster = 0.0
    seen = 0
    for some, theirs in _parts(people, lately, contacts):
        began = time.perf_counter()
        table = feature_columns(some, theirs, specs, as_of=until)
        matrix = matrix_of(table, model.feature_names)
        median = model.trained.tenant_median_days
        left = rhythm(table, definition, tenant_median_days=median).days_to_limit
        model.predict(matrix, left)
        ours += time.perf_counter() - began
        rows = np.column_stack([matrix, np.ones((len(matrix), len(PERIOD_COLUMNS)))])
        began = time.perf_counter()
        model._booster.predict(rows, raw_score=True, num_threads=_THREADS)
        booster += time.perf_counter() - began
        seen += theirs.height
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Measured(contacts, seen, ours, booster, peak)


def _parts(
    people: pl.DataFrame, events: pl.DataFrame, contacts: int
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    for start in range(0, contacts, PART):
        copies = -(-min(PART, contacts - start) // people.height)
        numbers = range(start, start + copies)
        some, theirs = (
            pl.concat(
                [
                    frame.with_columns(contact_id=pl.col("contact_id") + f"-{number:07}")
                    for number in numbers
                ]
            )
            for frame in (people, events)
        )
        yield some, theirs


def figures(contacts: int) -> tuple[Figure, ...]:
    """Speed and memory beside what they may be."""
    found = measure(contacts)
    return (
        Figure(
            area="churn",
            name=f"features and hazards of {contacts:,} contacts",
            value=contacts / found.ours_seconds,
            unit="contacts/s",
            reference=contacts / found.booster_seconds,
            against="Booster.predict alone, same matrix, two threads",
            bar=1 / MOST_TIMES,
        ),
        Figure(
            area="churn",
            name=f"peak memory of {contacts:,} contacts",
            value=found.peak_bytes / 2**30,
            unit="GiB",
            reference=MOST_BYTES / 2**30,
            against="the most it may be",
            better="lower",
            reach=MOST_BYTES / 2**30,
        ),
    )


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 if it takes too long or too much."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.health_scale")
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    found = figures(asked.contacts)
    if asked.json:
        print(json.dumps([each.as_dict() for each in found], indent=2))
    else:
        for each in found:
            print(f"{each.name}: {each.value:,.4g} {each.unit} ({each.against}: "
                  f"{each.reference:,.4g}) {'ok' if each.ok else 'MISSED'}")  # fmt: skip
    return 0 if all(each.ok for each in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
