"""The rows that models of churn learn from, and the measures that they are judged by."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.contracts import with_departures
from churn.definition import HORIZON_DAYS, HORIZONS, ChurnDefinition
from churn.design_matrix import period_rows
from churn.feature_rows import Array
from churn.labels import Origins, Outcomes, outcomes, person_periods, rolling_origins, visits_of
from churn.metrics import Scores, scores
from churn.model import HazardModel
from churn.snapshots import History, Snapshot


def history_of(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    definition: ChurnDefinition,
    until: datetime,
    *,
    most: int,
    seed: int,
) -> History:
    """Contacts that ever came, or `most` of them drawn by the seed, and what is known of them."""
    visits = visits_of(events, definition, until)
    came = arrivals_of(events, definition, until)
    people = (
        contacts.select("contact_id", "timezone")
        .join(came, on="contact_id", how="semi")
        .sort("contact_id")
    )
    if people.height > most:
        chosen = np.random.default_rng(seed).choice(people.height, most, replace=False)
        people = people[np.sort(chosen)]
    known = events.filter(pl.col("occurred_at") <= came["occurred_at"].max())
    return History(
        contacts=people,
        events=known.join(people, on="contact_id", how="semi"),
        visits=visits.join(people, on="contact_id", how="semi", maintain_order="left"),
    )


def arrivals_of(events: pl.DataFrame, definition: ChurnDefinition, until: datetime) -> pl.DataFrame:
    """As `visits_of`, with contracts begun or renewed where contacts are judged by them."""
    return visits_of(events, replace(definition, visit_types=definition.arrival_types), until)


@dataclass(frozen=True, slots=True)
class Rows:
    """Person-periods as the booster takes them."""

    matrix: Array
    event: NDArray[np.bool_]


def rows_of(snapshots: Iterable[Snapshot], visits: pl.DataFrame, data_until: datetime) -> Rows:
    """Of contacts at risk at these origins, followed up to `data_until` and no further."""
    matrices, events = [], []
    for seen in snapshots:
        if seen.origin >= data_until:
            continue
        found = outcomes_of(seen, visits, data_until)
        periods = person_periods(found, seen.days_to_limit)
        rows = period_rows(seen.features, seen.silence_days, seen.days_to_limit)
        matrices.append(rows[periods.period - 1, periods.row])
        events.append(periods.event)
    if not matrices:
        return Rows(np.zeros((0, 0)), np.zeros(0, dtype=np.bool_))
    return Rows(np.concatenate(matrices), np.concatenate(events))


def outcomes_of(seen: Snapshot, visits: pl.DataFrame, data_until: datetime) -> Outcomes:
    """What became of a snapshot's contacts by then."""
    found = outcomes(seen.contacts, visits, origin=seen.origin, data_until=data_until)
    return with_departures(
        found,
        seen.contacts,
        seen.contracts,
        seen.definition,
        origin=seen.origin,
        data_until=data_until,
    )


def is_closed(seen: Snapshot, at: datetime) -> bool:
    """Whether the 120 days after the snapshot had passed."""
    return seen.origin + timedelta(days=HORIZON_DAYS + seen.definition.days_of_doubt) <= at


def departed(past: Iterable[Snapshot], visits: pl.DataFrame, until: datetime) -> set[str]:
    """Contacts that left within the closed windows."""
    found: set[str] = set()
    for seen in past:
        if is_closed(seen, until):
            left = outcomes_of(seen, visits, until).churned_within(HORIZON_DAYS)
            found.update(seen.contacts.filter(left)["contact_id"])
    return found


def usual_of(features: Array) -> tuple[tuple[float, float] | None, ...]:
    """Per column the values below and above which one in a hundred rows lies; None: not known."""
    found: list[tuple[float, float] | None] = []
    for column in features.T:
        known = column[~np.isnan(column)]
        low, high = np.quantile(known, [0.01, 0.99]) if known.size else (np.nan, np.nan)
        found.append((float(low), float(high)) if known.size else None)
    return tuple(found)


def measures_of(
    model: HazardModel, test: Snapshot, visits: pl.DataFrame, until: datetime
) -> dict[str, dict[int, Scores]]:
    """Scores at a moment that the model has not seen, by population and horizon."""
    found = outcomes_of(test, visits, until)
    hazards = model.predict(test.features, test.days_to_limit)
    populations = {"all": np.ones(len(test.regular), dtype=np.bool_), "regular": test.regular}
    return {
        name: {
            days: scores(found.churned_within(days)[rows], hazards.within(days)[rows])
            for days in HORIZONS
        }
        for name, rows in populations.items()
        if rows.any()
    }


def origins_of(came: pl.DataFrame, definition: ChurnDefinition) -> Origins:
    """The moments that contacts are looked at; `came` is of `arrivals_of` and not empty."""
    first, last = span_of(came)
    return rolling_origins(first, last - timedelta(days=definition.days_of_doubt))


def span_of(visits: pl.DataFrame) -> tuple[datetime, datetime]:
    """The first and the last visit; there must be one."""
    first, last = visits.select(
        first=pl.col("occurred_at").min(), last=pl.col("occurred_at").max()
    ).row(0)
    return first, last
