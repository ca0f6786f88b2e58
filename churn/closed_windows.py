"""What was predicted at moments of the past, beside what happened: judges models and levels.

Predictions are made from what was known at each origin; outcomes are looked at only where the
window has closed by the end of the data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from churn.components import component_scores
from churn.contracts import contract_events, with_departures
from churn.definition import HORIZONS, VISITS, ChurnDefinition, Rhythm, rhythm
from churn.features import matrix_of
from churn.health_policy import PARTS
from churn.labels import STEP_DAYS, outcomes, visits_of
from churn.model import HazardModel
from churn.scorecard import scorecard
from churn.snapshots import seen_lately
from engine.features.columns import feature_columns
from engine.features.spec import Feature

SEGMENTS = ((1, "first visit"), (2, "second visit"), (3, "3 to 5 visits"), (6, "6 visits or more"))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a tenant at the end of the data.

    Attributes:
        contacts: contact_id, timezone.
        events: `EVENT_COLUMNS`.
        specs: `features.churn_features` of the definition.
        definition: when a contact counts as churned; by it all scorers are judged.
        tenant_median_days: with the definition, the limit of each contact.
        until: end of the data; aware.
    """

    contacts: pl.DataFrame
    events: pl.DataFrame
    specs: Sequence[Feature]
    definition: ChurnDefinition
    tenant_median_days: float
    until: datetime


def origins_between(first: datetime, last: datetime) -> list[datetime]:
    """Origins every 30 days back from `last`, at 00:00 UTC, none before `first`; ascending."""
    origin = last.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[datetime] = []
    while origin >= first:
        found.insert(0, origin)
        origin -= timedelta(days=STEP_DAYS)
    return found


def closed_windows(
    known: Known, scorers: Mapping[str, HazardModel | None], origins: Sequence[datetime]
) -> pl.DataFrame:
    """One row per contact at risk and origin.

    Columns: origin, contact_id, segment (by visits so far), the parts of health (NaN as null),
    churned_30 … churned_120 (null while the window is open) and, per scorer, NAME_30 … NAME_120:
    P(churn) as it was predicted. A scorer of None is the scorecard.
    """
    visits = visits_of(known.events, known.definition, known.until)
    parts = [_at(known, scorers, visits, origin) for origin in origins]
    return pl.concat(parts) if parts else pl.DataFrame()


def closed_only(windows: pl.DataFrame, days: int) -> pl.DataFrame:
    """The rows whose window of so many days has closed; without any origin, no rows."""
    return windows.filter(pl.col(f"churned_{days}").is_not_null()) if windows.height else windows


def population(known: Known, model: HazardModel, at: datetime) -> pl.DataFrame:
    """Features of the contacts at risk at a moment, with the model's P(churn within 90 days)."""
    visits = visits_of(known.events, known.definition, at)
    table, _ = _at_risk(known, visits, at)
    risk = _predicted(known, model, table)[90]
    return table.with_columns(pl.Series("P(churn within 90 days)", risk, dtype=pl.Float64))


def _at_risk(known: Known, visits: pl.DataFrame, origin: datetime) -> tuple[pl.DataFrame, Rhythm]:
    seen = seen_lately(known.contacts, visits, known.events, known.definition, origin)
    past = known.events.filter(pl.col("occurred_at") <= origin)
    table = feature_columns(seen, past, known.specs, as_of=origin)
    median = known.tenant_median_days
    standing = rhythm(table, known.definition, tenant_median_days=median)
    table = table.filter(standing.at_risk)
    return table, rhythm(table, known.definition, tenant_median_days=median)


def _at(
    known: Known,
    scorers: Mapping[str, HazardModel | None],
    visits: pl.DataFrame,
    origin: datetime,
) -> pl.DataFrame:
    table, standing = _at_risk(known, visits, origin)
    limits = table.select("contact_id").with_columns(
        pl.Series("limit_days", standing.limit_days),
        pl.Series("days_to_limit", standing.days_to_limit),
        pl.Series("by_contract", standing.by_contract),
    )
    found = with_departures(
        outcomes(limits, visits, origin=origin, data_until=known.until),
        limits,
        contract_events(known.events, known.definition),
        known.definition,
        origin=origin,
        data_until=known.until,
    )
    churned = [
        pl.Series(
            f"churned_{days}",
            found.churned_within(days) if days <= found.followed_days else [None] * table.height,
            dtype=pl.Boolean,
        )
        for days in HORIZONS
    ]
    told = [
        pl.Series(f"{name}_{days}", values, dtype=pl.Float64)
        for name, model in scorers.items()
        for days, values in _predicted(known, model, table).items()
    ]
    judged = component_scores(table, standing)
    return pl.DataFrame(
        [
            pl.Series("origin", [origin] * table.height, dtype=pl.Datetime("us", "UTC")),
            table["contact_id"],
            pl.Series("segment", segment_of(matrix_of(table, (VISITS,))[:, 0]), dtype=pl.String),
            *(pl.Series(part, judged.scores[part], nan_to_null=True) for part in PARTS),
            *churned,
            *told,
        ]
    )


def _predicted(
    known: Known, model: HazardModel | None, table: pl.DataFrame
) -> dict[int, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    if model is None:
        usual = known.definition.usual_interval_days
        card = scorecard(table, rhythm(table, known.definition, tenant_median_days=usual))
        return {days: card.hazards.within(days) for days in HORIZONS}
    own = model.trained
    standing = rhythm(table, own.definition, tenant_median_days=own.tenant_median_days)
    hazards = model.predict(matrix_of(table, model.feature_names), standing.days_to_limit)
    return {days: hazards.within(days) for days in HORIZONS}


def segment_of(visits: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[str]:
    """The segment of each number of visits, of which there is at least one."""
    starts = [start for start, _ in SEGMENTS]
    place = np.searchsorted(starts, visits, side="right") - 1
    return [SEGMENTS[max(0, int(at))][1] for at in place]
