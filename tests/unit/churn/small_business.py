"""A small business with known departures: 400 contacts, own rhythms, exponential lives."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from churn.artifact import TrainedModel
from churn.definition import ChurnDefinition
from churn.train import BoosterSettings, train
from engine.features.column_history import EVENT_SCHEMA
from engine.features.spec import EVENT_COLUMNS

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 540


@dataclass(frozen=True)
class Business:
    contacts: pl.DataFrame
    events: pl.DataFrame
    definition: ChurnDefinition
    until: datetime


def trained_on(business: Business) -> TrainedModel:
    return train(
        business.contacts,
        business.events,
        business.definition,
        as_of=business.until,
        settings=QUICK,
    )


def event_frame(rows: list[tuple[str, str, datetime, int | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "contact_id": [row[0] for row in rows],
            "type": [row[1] for row in rows],
            "occurred_at": [row[2] for row in rows],
            "amount_cents": [row[3] for row in rows],
            "subject": [None] * len(rows),
            "starts_at": [None] * len(rows),
        },
        schema={name: EVENT_SCHEMA[name] for name in EVENT_COLUMNS[:6]},
    )


def make_business(*, contacts: int = 400, days: int = DAYS, seed: int = 4) -> Business:
    rng = np.random.default_rng(seed)
    rows: list[tuple[str, str, datetime, int | None]] = []
    for number in range(contacts):
        interval = rng.gamma(4.0, 8.0) + 4.0
        day = rng.uniform(0, days * 0.6)
        leaves = day + rng.exponential(240.0)
        while day < min(leaves, days):
            at = START + timedelta(days=float(day))
            kept = rng.random() > 0.1
            kind = "appointment.kept" if kept else "appointment.no_show"
            rows.append((f"c{number:04}", kind, at, 5000 if kept else None))
            day += rng.gamma(3.0, interval / 3.0)
    events = event_frame(rows).sort("occurred_at", "contact_id")
    people = pl.DataFrame(
        {"contact_id": [f"c{n:04}" for n in range(contacts)], "timezone": "Europe/London"}
    )
    return Business(
        people, events, ChurnDefinition(("appointment.kept",)), START + timedelta(days=days)
    )


QUICK = BoosterSettings(trees=40)
