"""Leaving by contract: cancelled, or run out without being renewed.

A contact holds a contract from an event that starts or renews one until an event that ends it on
the same subject, or until its term and the days of grace are over with nothing renewed. Spells that
follow each other within the days of grace are one: a renewal that comes late is no departure.
"""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from churn.definition import HORIZON_DAYS, ChurnDefinition
from churn.feature_rows import Array
from churn.labels import Outcomes

_DAY = timedelta(days=1)
# Later than anything that is followed.
_OPEN_END = timedelta(days=36_500)


def contract_events(events: pl.DataFrame, definition: ChurnDefinition) -> pl.DataFrame | None:
    """The events that tell of contracts; None where nobody is judged by one."""
    if not definition.by_contract:
        return None
    types = (*definition.holding_types, *definition.ending_types)
    return events.filter(pl.col("type").is_in(types))


def spells(told: pl.DataFrame, definition: ChurnDefinition, until: datetime) -> pl.DataFrame:
    """When contacts held contracts, as known at `until`: `contact_id`, `begins_at`, `ends_at`.

    An `ends_at` after `until` is not known yet. Terms are read from the property `ends_on` of the
    event, else from the definition's `term_days`; without either a contract runs until it is ended.
    """
    grace = timedelta(days=definition.grace_days)
    term = pl.lit(None, dtype=pl.Duration("us"))
    if definition.term_days:
        term = pl.lit(timedelta(days=definition.term_days), dtype=pl.Duration("us"))
    at = pl.col("occurred_at")
    of_one = ["contact_id", "subject"]
    begun = (
        _with_terms(told)
        .filter(at <= until)
        .with_columns(pl.col("subject").fill_null(""))
        .sort(*of_one, "occurred_at")
        .with_columns(
            ended_at=pl.when(pl.col("type").is_in(definition.ending_types)).then(at),
        )
        .with_columns(ended_at=pl.col("ended_at").shift(-1).backward_fill().over(of_one))
        .filter(pl.col("type").is_in(definition.holding_types))
        .with_columns(lapses_at=pl.coalesce(pl.col("ends_on"), at + term) + grace)
        .select(
            "contact_id",
            begins_at=at,
            ends_at=pl.min_horizontal("ended_at", "lapses_at").fill_null(until + _OPEN_END),
        )
        .sort("contact_id", "begins_at")
    )
    reached = pl.col("ends_at").cum_max().shift(1).over("contact_id")
    anew = (reached.is_null() | (pl.col("begins_at") > reached + grace)).cast(pl.Int64)
    return (
        begun.with_columns(spell=anew.cum_sum().over("contact_id"))
        .group_by("contact_id", "spell", maintain_order=True)
        .agg(pl.col("begins_at").min(), pl.col("ends_at").max())
        .drop("spell")
    )


def _with_terms(told: pl.DataFrame) -> pl.DataFrame:
    """Column `ends_on`: the last day of the term is part of it; null where none is told."""
    nothing = pl.lit(None, dtype=pl.Datetime("us", "UTC"))
    if "properties" not in told.columns:
        return told.with_columns(ends_on=nothing)
    day = pl.col("properties").cast(pl.String).str.json_path_match("$.ends_on").str.slice(0, 10)
    ends = day.str.to_date("%Y-%m-%d", strict=False) + pl.duration(days=1)
    return told.with_columns(ends_on=ends.cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))


def with_departures(
    found: Outcomes,
    snapshot: pl.DataFrame,
    told: pl.DataFrame | None,
    definition: ChurnDefinition,
    *,
    origin: datetime,
    data_until: datetime,
) -> Outcomes:
    """Outcomes in which those judged by contract leave when their spell ends.

    Args:
        found: by silence, in the order of the snapshot.
        snapshot: `contact_id`, `by_contract`.
        told: from `contract_events`; None: nobody is judged by contract.
        definition: when a contact counts as churned.
        origin: the moment of the snapshot.
        data_until: end of what is known.

    Days of grace at the end of the follow-up are not part of it: who ended a contract in them may
    yet renew.
    """
    if told is None:
        return found
    followed = (data_until - origin) / _DAY - definition.grace_days
    followed = min(max(followed, 0.0), float(HORIZON_DAYS))
    ends = (
        spells(told, definition, data_until)
        .filter(pl.col("begins_at") <= origin, pl.col("ends_at") > origin)
        .select("contact_id", days=(pl.col("ends_at") - origin) / _DAY)
    )
    rows = snapshot.select("contact_id", "by_contract").join(
        ends, on="contact_id", how="left", maintain_order="left"
    )
    days: Array = rows["days"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    churn = np.where(rows["by_contract"].to_numpy(), days, found.churn_days)
    return Outcomes(np.where(churn <= followed, churn, np.nan), followed)
