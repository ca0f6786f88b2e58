"""Features of the open subjects of contacts: each contract, asset or case on its own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import polars as pl

from engine.features.column_history import Batch, Clocks, past_of, people_of
from engine.features.columns import columns_of
from engine.features.contact import values_of
from engine.features.contact_history import History, HistoryEvent, Moment, moments_of
from engine.features.spec import Feature, Scalar, SubjectKind

_MEMBERSHIP = "attribute account_id"
# Of each kind the newest so many of a contact are looked at: more are an import gone wrong, and
# each is a row of the profile and a candidate per rule, of which a decision keeps 32,767.
MOST_SUBJECTS = 100


@dataclass(frozen=True, slots=True)
class SubjectRow:
    """An open subject of one contact, e.g. kind 'contract', subject 'contract:1'."""

    kind: str
    subject: str
    row: Mapping[str, Scalar]


def subjects_of(
    events: Iterable[HistoryEvent],
    kinds: Sequence[SubjectKind],
    specs: Sequence[Feature],
    *,
    as_of: datetime,
    zone: ZoneInfo,
    attributes: Mapping[str, Scalar] | None = None,
) -> list[SubjectRow]:
    """The contact's open subjects, sorted by kind and subject, with the specs of their scope.

    Of each kind the MOST_SUBJECTS that were opened last; of those opened at once the first by name.

    Arguments are those of `contact.features_of`; `attributes` are the contact's own, in which
    the interval of a recall may stand. Events of other members of the account are left out.
    """
    if not kinds:
        return []
    moments = moments_of(events, as_of, zone)
    by_subject: dict[str, list[Moment]] = {}
    for moment in moments.own:
        if moment.event.subject is not None:
            by_subject.setdefault(moment.event.subject, []).append(moment)
    rows = []
    for kind in kinds:
        wanted = [spec for spec in specs if spec.scope == kind.name]
        opened = [
            (at, subject)
            for subject, own in by_subject.items()
            if subject.startswith(f"{kind.name}:") and (at := _opened(kind, own)) is not None
        ]
        for _, subject in sorted(opened, key=lambda each: (-each[0], each[1]))[:MOST_SUBJECTS]:
            history = History(moments, attributes or {}, own=by_subject[subject])
            rows.append(SubjectRow(kind.name, subject, values_of(history, wanted)))
    return sorted(rows, key=lambda row: (row.kind, row.subject))


def _opened(kind: SubjectKind, moments: Sequence[Moment]) -> int | None:
    """When it was opened last, microseconds; None if it is not open."""
    opened = [moment.instant for moment in moments if moment.event.type in kind.opened_by]
    closed = [moment.instant for moment in moments if moment.event.type in kind.closed_by]
    if not opened or (closed and max(closed) >= max(opened)):
        return None
    return max(opened)


def subject_columns(
    contacts: pl.DataFrame,
    events: pl.DataFrame,
    kinds: Sequence[SubjectKind],
    specs: Sequence[Feature],
    *,
    as_of: datetime,
) -> dict[str, pl.DataFrame]:
    """Per kind one row for each open subject: contact_id, subject, one column per spec of it.

    Rows stand in the order of `contacts`, then by subject, of each contact those of `subjects_of`.
    Arguments are those of `columns.feature_columns`; where contacts have moments of their own,
    as_of is a column too.
    """
    people, clocks = people_of(contacts, as_of)
    return tables_of(people, past_of(people, clocks, events), clocks, kinds, specs, contacts)


def tables_of(
    people: pl.DataFrame,
    past: pl.DataFrame,
    clocks: Clocks,
    kinds: Sequence[SubjectKind],
    specs: Sequence[Feature],
    contacts: pl.DataFrame,
) -> dict[str, pl.DataFrame]:
    """The same from contacts and their past as `column_history` converts them."""
    tables = {}
    for kind in kinds:
        about = past.filter(pl.col("subject").str.starts_with(f"{kind.name}:"))
        opened = _open_subjects(kind, about)
        batch = _batch_of(opened, about, people, clocks)
        columns = columns_of(batch, (spec for spec in specs if spec.scope == kind.name))
        columns = columns.insert_column(1, opened["subject"])
        if "as_of" in contacts.columns:
            columns = columns.insert_column(1, contacts["as_of"][opened["row"]])
        tables[kind.name] = columns
    return tables


def _open_subjects(kind: SubjectKind, about: pl.DataFrame) -> pl.DataFrame:
    """row, subject of the open ones, in that order."""
    is_opening = pl.col("type").is_in(kind.opened_by)
    is_closing = pl.col("type").is_in(kind.closed_by)
    return (
        about.group_by("row", "subject")
        .agg(
            opened=pl.col("instant").filter(is_opening).max(),
            closed=pl.col("instant").filter(is_closing).max(),
        )
        .filter(
            pl.col("opened").is_not_null(),
            (pl.col("closed") < pl.col("opened")).fill_null(value=True),
        )
        .sort("row", "opened", "subject", descending=[False, True, False])
        .group_by("row", maintain_order=True)
        .head(MOST_SUBJECTS)
        .select("row", "subject")
        .sort("row", "subject")
    )


def _batch_of(
    opened: pl.DataFrame,
    about: pl.DataFrame,
    people: pl.DataFrame,
    clocks: Clocks,
) -> Batch:
    """A batch whose rows are the subjects, each with its contact's clock and attributes."""
    units = opened.with_row_index("unit").with_columns(pl.col("unit").cast(pl.Int64))
    # A subject is alone: members of an account are contacts.
    owners = people[opened["row"]].drop(_MEMBERSHIP, strict=False).with_columns(row=units["unit"])
    past = about.join(units, on=["row", "subject"]).drop("row").rename({"unit": "row"})
    return Batch(owners, past, Clocks(owners["clock"].to_numpy(), clocks.zones))
