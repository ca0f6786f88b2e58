"""Features of many contacts and of their open subjects, from one reading of their past."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from engine.features.column_history import Batch, past_of, people_of
from engine.features.columns import columns_of
from engine.features.spec import CONTACT, Feature, SubjectKind
from engine.features.subjects import tables_of


@dataclass(frozen=True, slots=True)
class FeatureTables:
    """Features as columns.

    Attributes:
        contacts: one row per contact: contact_id and a column per feature of the contact.
        subjects: by kind, one row per open subject, in the order of contacts, then by subject:
            contact_id, subject and a column per feature of the kind.
    """

    contacts: pl.DataFrame
    subjects: Mapping[str, pl.DataFrame]


def feature_tables(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    kinds: Sequence[SubjectKind],
    specs: Sequence[Feature],
    *,
    as_of: datetime,
    holidays: frozenset[date] | None = None,
) -> FeatureTables:
    """What `columns.feature_columns` and `subjects.subject_columns` return, at one price."""
    people, clocks = people_of(contacts, as_of)
    past = past_of(people, clocks, events)
    batch = Batch(people, past, clocks, holidays)
    mine = columns_of(batch, (spec for spec in specs if spec.scope == CONTACT))
    return FeatureTables(mine, tables_of(people, past, clocks, kinds, specs, contacts))
