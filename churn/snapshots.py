"""The contacts at risk at one moment, as a model sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.contracts import contract_events
from churn.definition import VISITS, ChurnDefinition, rhythm
from churn.feature_rows import Array
from churn.features import learnable, matrix_of
from engine.features.columns import feature_columns
from engine.features.spec import Feature

# With three visits a contact has two intervals: the least that is a rhythm of its own.
REGULAR_VISITS = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Contacts at risk at `origin`; arrays in the order of `contacts`.

    Attributes:
        contacts: `contact_id`, `limit_days`, `days_to_limit`, `by_contract`.
        features: (n, f), the learnable features in the order of the specs.
        silence_days, days_to_limit: (n,).
        regular: whether a contact has at least three visits.
        tenant_median_days: median interval at the origin.
        definition: by which they are judged.
        contracts: what is told of contracts; None where nobody is judged by one.
    """

    origin: datetime
    contacts: pl.DataFrame
    features: Array
    silence_days: Array
    days_to_limit: Array
    regular: NDArray[np.bool_]
    tenant_median_days: float
    definition: ChurnDefinition
    contracts: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a tenant.

    Attributes:
        contacts: contact_id, timezone; sorted by contact_id.
        events: columns of `engine.features.spec.EVENT_COLUMNS`.
        visits: from `labels.visits_of`.
    """

    contacts: pl.DataFrame
    events: pl.DataFrame
    visits: pl.DataFrame


def snapshot(
    history: History, origin: datetime, definition: ChurnDefinition, specs: Sequence[Feature]
) -> Snapshot:
    """Everyone at risk at the origin; no event after it is looked at."""
    seen = seen_lately(history.contacts, history.visits, history.events, definition, origin)
    events = history.events.filter(pl.col("occurred_at") <= origin)
    table = feature_columns(seen, events, specs, as_of=origin)
    standing = rhythm(table, definition)
    names = [spec.name for spec in learnable(specs)]
    at_risk = standing.at_risk
    limits = {"limit_days": standing.limit_days, "days_to_limit": standing.days_to_limit}
    return Snapshot(
        origin=origin,
        contacts=table.select("contact_id")
        .with_columns(
            *(pl.Series(name, values) for name, values in limits.items()),
            pl.Series("by_contract", standing.by_contract),
        )
        .filter(at_risk),
        features=matrix_of(table.filter(at_risk), names),
        silence_days=standing.silence_days[at_risk],
        days_to_limit=standing.days_to_limit[at_risk],
        regular=table.filter(at_risk)[VISITS].to_numpy() >= REGULAR_VISITS,
        tenant_median_days=standing.tenant_median_days,
        definition=definition,
        contracts=contract_events(history.events, definition),
    )


def seen_lately(
    contacts: pl.DataFrame,
    visits: pl.DataFrame,
    events: pl.DataFrame,
    definition: ChurnDefinition,
    origin: datetime,
) -> pl.DataFrame:
    """The contacts that may be at risk at a moment: who came lately, and who holds a contract.

    A visit older than the longest limit means churned, whatever the contact's own limit is. One day
    more, since silence is counted on the contact's wall clock.
    """
    oldest = origin - timedelta(days=definition.longest_limit_days + 1)
    lately = visits.filter(pl.col("occurred_at") <= origin, pl.col("occurred_at") >= oldest).select(
        "contact_id"
    )
    told = contract_events(events, definition)
    if told is not None:
        held = told.filter(pl.col("occurred_at") <= origin)
        lately = pl.concat([lately, held.select("contact_id")])
    return contacts.join(lately, on="contact_id", how="semi", maintain_order="left")
