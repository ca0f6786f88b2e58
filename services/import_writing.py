"""Writes one prepared chunk: external ids become internal ones, then each target in its order."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.import_kinds import Mapping
from services.import_rows import ID, KEY, ROW, Prepared, evidence, key_of
from store import import_targets as targets

_ENTITIES = ("account", "contact", "deal")  # in this order: each may refer to the ones before


@dataclass
class Counts:
    """Per kind of record: what was inserted, what was there before, what led to another row.

    `offered` counts rows of the file: a contact named by ten rows is inserted once and found
    already there nine times.

    Attributes:
        all_new: of which targets nothing that the latest chunk offered was in the database.
    """

    offered: Counter[str] = field(default_factory=Counter)
    inserted: Counter[str] = field(default_factory=Counter)
    linked: Counter[str] = field(default_factory=Counter)
    all_new: frozenset[str] = frozenset()

    def add(self, other: "Counts") -> None:
        self.offered += other.offered
        self.inserted += other.inserted
        self.linked += other.linked
        self.all_new = other.all_new

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Per kind: inserted, already_there, and for contacts linked_by_email."""
        found: dict[str, dict[str, int]] = {}
        for kind, offered in sorted(self.offered.items()):
            inserted, linked = self.inserted[kind], self.linked[kind]
            found[kind] = {"inserted": inserted, "already_there": offered - inserted - linked}
            if kind == "contact":
                found[kind]["linked_by_email"] = linked
        return found


async def write_chunk(
    connection: AsyncConnection,
    tenant_id: TenantId,
    prepared: Prepared,
    mapping: Mapping,
    file_name: str,
    expect_new: frozenset[str] = frozenset(),
) -> Counts:
    """Write a chunk in the caller's transaction; rows that refer to nobody known are rejected.

    `expect_new`: the chunk before's `all_new`, which is most likely this one's too.
    """
    writer = _Writer(connection, tenant_id, mapping, file_name)
    writer.counts.all_new = expect_new
    await writer.resolve(prepared)
    for entity in _ENTITIES:
        if entity in prepared.offers:
            await writer.entities(entity, prepared.offers[entity], prepared)
    if "activity" in prepared.offers:
        await writer.activities(prepared.offers["activity"])
    if "event" in prepared.offers:
        await writer.events(prepared.offers["event"])
    return writer.counts


class _Writer:
    def __init__(
        self, connection: AsyncConnection, tenant_id: TenantId, mapping: Mapping, file_name: str
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._mapping = mapping
        self._file_name = file_name
        self._ids: dict[str, pl.DataFrame] = {}
        self.counts = Counts()

    async def resolve(self, prepared: Prepared) -> None:
        """Look up the ids that the chunk names; reject rows whose reference leads nowhere."""
        for entity in _ENTITIES:
            wanted = [frame[column] for frame, column in _keys_of(prepared, entity)]
            if wanted:
                self._ids[entity] = await targets.find_internal_ids(
                    self._connection, self._tenant_id, entity, pl.concat(wanted)
                )
        # a rejected row may have been the one that creates what another row refers to
        while lost := self._lost(prepared):
            prepared.reject(lost)

    def _lost(self, prepared: Prepared) -> dict[int, tuple[str, str, str]]:
        lost: dict[int, tuple[str, str, str]] = {}
        for entity in _ENTITIES:
            if entity not in self._ids:
                continue
            known = self._ids[entity]["external_id"]
            if entity in prepared.offers:
                known = pl.concat([known, prepared.offers[entity][KEY]])
            reason = f"no {entity} has this external id"
            for frame, column in _references_to(prepared, entity):
                bad = frame.filter(
                    pl.col(column).is_not_null() & ~pl.col(column).is_in(known.implode())
                )
                place = self._place(entity)
                for row, key in bad.select(ROW, column).iter_rows():
                    lost.setdefault(row, (place, reason, key))
        return lost

    def _place(self, entity: str) -> str:
        named = (record.references.get(entity) for record in self._mapping.records)
        return next((columns[0] for columns in named if columns), "")

    async def entities(self, entity: str, offer: pl.DataFrame, prepared: Prepared) -> None:
        """Insert the accounts, contacts or deals that are new."""
        self.counts.offered[entity] += offer.height
        unknown = offer.join(
            self._ids[entity],
            left_on=KEY,
            right_on="external_id",
            how="anti",
            maintain_order="left",
        )
        # the first row gives the fields, all rows together the earliest time
        new = (
            unknown.group_by(KEY)
            .agg(
                pl.col(name).min() if name == "created_at" else pl.col(name).first()
                for name in unknown.columns
                if name != KEY
            )
            .sort(KEY)
        )  # in the order of the index that grows: neighbours share its pages
        frame = self._with_references(new)
        if entity == "contact" and "created_at" in offer.columns:
            await self._lower_created_at(offer.join(new, on=KEY, how="anti"))
        if frame.is_empty():
            return
        ids = await targets.add_entities(
            self._connection,
            self._tenant_id,
            entity,
            frame.drop(ROW),
            expect_new=entity in self.counts.all_new,
        )
        own = frame.select(KEY, ID).join(ids, left_on=KEY, right_on="external_id")
        created = own.filter(pl.col(ID) == pl.col("internal_id"))
        self.counts.inserted[entity] += created.height
        self.counts.linked[entity] += own.height - created.height
        self._note_new(entity, all_new=created.height == own.height)
        self._ids[entity] = pl.concat([self._ids[entity], ids])
        if entity == "contact" and prepared.consents is not None:
            await self._consents(prepared.consents, created)

    async def _lower_created_at(self, known: pl.DataFrame) -> None:
        earliest = known.group_by(ID, maintain_order=True).agg(pl.col("created_at").min())
        await targets.lower_created_at(
            self._connection, self._tenant_id, earliest.drop_nulls("created_at")
        )

    async def _consents(self, consents: pl.DataFrame, created: pl.DataFrame) -> None:
        contact = key_of("contact")
        granted = (
            # in the order of the index that grows: neighbours share its pages
            consents.join(created, left_on=contact, right_on=KEY)
            .sort(contact, maintain_order=True)
            .group_by(contact, "channel", "purpose", maintain_order=True)
            .agg(
                pl.col("internal_id", "basis").first(),
                pl.col("granted_at").min(),
            )
        )
        frame = granted.select(
            pl.col("internal_id").alias("contact_id"),
            "channel",
            "purpose",
            pl.lit("granted").alias("status"),
            "basis",
            pl.lit(evidence(self._mapping, self._file_name)).alias("evidence"),
            pl.lit(self._mapping.source).alias("source"),
            pl.concat_str(contact, "channel", "purpose", separator=":").alias(KEY),
            pl.col("granted_at").alias("effective_at"),
        )
        dated = frame.filter(pl.col("effective_at").is_not_null())
        undated = frame.filter(pl.col("effective_at").is_null()).drop("effective_at")
        for part in (dated, undated):
            self.counts.offered["consent"] += part.height
            self.counts.inserted["consent"] += await targets.add_consents(
                self._connection, self._tenant_id, part
            )

    async def activities(self, offer: pl.DataFrame) -> None:
        self.counts.offered["activity"] += offer.height
        first = offer.unique(KEY, keep="first", maintain_order=True)
        frame = self._with_references(first).with_columns(
            pl.lit(self._mapping.source).alias("integration_source")
        )
        self.counts.inserted["activity"] += await targets.add_activities(
            self._connection, self._tenant_id, frame.drop(ROW)
        )

    async def events(self, offer: pl.DataFrame) -> None:
        for kind, rows in offer.group_by("type").len().iter_rows():
            self.counts.offered[kind] += rows
        first = offer.unique(KEY, keep="first", maintain_order=True)
        frame = self._with_references(first).with_columns(
            pl.lit(self._mapping.source).alias("source")
        )
        inserted = await targets.add_events(
            self._connection,
            self._tenant_id,
            frame.drop(ROW),
            expect_new="event" in self.counts.all_new,
        )
        self.counts.inserted.update(inserted)
        self._note_new("event", all_new=inserted.total() == frame.height)

    def _note_new(self, target: str, *, all_new: bool) -> None:
        if all_new:
            self.counts.all_new |= {target}
        else:
            self.counts.all_new -= {target}

    def _with_references(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace `<entity>_key` by `<entity>_id`."""
        for entity in _ENTITIES:
            if key_of(entity) in frame.columns:
                ids = self._ids[entity].rename({"internal_id": f"{entity}_id"})
                frame = frame.join(
                    ids, left_on=key_of(entity), right_on="external_id", how="left",
                    maintain_order="left",
                ).drop(key_of(entity))  # fmt: skip
        return frame


def _keys_of(prepared: Prepared, entity: str) -> Iterable[tuple[pl.DataFrame, str]]:
    if entity in prepared.offers:
        yield prepared.offers[entity], KEY
    yield from _references_to(prepared, entity)


def _references_to(prepared: Prepared, entity: str) -> Iterable[tuple[pl.DataFrame, str]]:
    for frame in prepared.offers.values():
        if key_of(entity) in frame.columns:
            yield frame, key_of(entity)
