"""Writes one prepared chunk: external ids become internal ones, then each target in its order.

In two steps: those whom the chunk names, then what happened. The next chunk's first step may run
beside this one's second (services/import_chunks.py).
"""

from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping as TypingMapping
from dataclasses import dataclass, field

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId
from services.import_kinds import Mapping
from services.import_rows import ID, KEY, ROW, Prepared, evidence, key_of
from store import import_targets as targets

ENTITIES = ("account", "contact", "deal")  # in this order: each may refer to the ones before

# entity -> external_id, internal_id
Ids = TypingMapping[str, pl.DataFrame]


@dataclass
class Counts:
    """Per kind of record: what was inserted, what was there before, what led to another row.

    `offered` counts rows of the file: a contact named by ten rows is inserted once and found
    already there nine times.
    """

    offered: Counter[str] = field(default_factory=Counter)
    inserted: Counter[str] = field(default_factory=Counter)
    linked: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Counts") -> None:
        self.offered += other.offered
        self.inserted += other.inserted
        self.linked += other.linked

    def as_dict(self) -> dict[str, dict[str, int]]:
        """Per kind: inserted, already_there, and for contacts linked_by_email."""
        found: dict[str, dict[str, int]] = {}
        for kind, offered in sorted(self.offered.items()):
            inserted, linked = self.inserted[kind], self.linked[kind]
            found[kind] = {"inserted": inserted, "already_there": offered - inserted - linked}
            if kind == "contact":
                found[kind]["linked_by_email"] = linked
        return found


class ChunkWriter:
    """Writes a chunk in the caller's transaction: first `people`, then `happenings`.

    Args:
        connection: a transaction of the tenant.
        tenant_id: the tenant.
        prepared: rows that refer to nobody known are moved to its rejects.
        mapping: of the file.
        file_name: kept as evidence of consents.
        all_new: of which targets nothing that the latest chunk offered was in the database: most
            likely nothing of this one is; brought up to date by each chunk.
    """

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: TenantId,
        prepared: Prepared,
        mapping: Mapping,
        file_name: str,
        all_new: set[str],
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._prepared = prepared
        self._mapping = mapping
        self._file_name = file_name
        self._all_new = all_new
        self._ids: dict[str, pl.DataFrame] = {}
        self._seen_before: pl.DataFrame | None = None
        self.counts = Counts()
        self.created: dict[str, pl.DataFrame] = {}

    async def people(self, uncommitted: Ids) -> None:
        """Find or insert the accounts, contacts and deals, with new contacts' consents.

        `uncommitted`: ids that the chunk before has inserted, which this transaction can't see
        yet. What this chunk inserts is in `created` then.
        """
        prepared = self._prepared
        await self._resolve(uncommitted)
        for entity in ENTITIES:
            if entity in prepared.offers:
                await self._entities(entity, prepared.offers[entity])

    async def happenings(self) -> None:
        """Insert activities and events. The chunk before has to be committed."""
        if "activity" in self._prepared.offers:
            await self._activities(self._prepared.offers["activity"])
        if "event" in self._prepared.offers:
            await self._events(self._prepared.offers["event"])
        if self._seen_before is not None:
            await self._lower_created_at(self._seen_before)

    async def _resolve(self, uncommitted: Ids) -> None:
        """Look up the ids that the chunk names; reject rows whose reference leads nowhere."""
        for entity in ENTITIES:
            keys = [frame[column] for frame, column in _keys_of(self._prepared, entity)]
            if not keys:
                continue
            wanted = pl.concat(keys)
            known = await targets.find_internal_ids(
                self._connection, self._tenant_id, entity, wanted
            )
            if entity in uncommitted:
                carried = uncommitted[entity]
                known = pl.concat(
                    [known, carried.filter(pl.col("external_id").is_in(wanted.implode()))]
                ).unique("external_id")
            self._ids[entity] = known
        # a rejected row may have been the one that creates what another row refers to
        while lost := self._lost(self._prepared):
            self._prepared.reject(lost)

    def _lost(self, prepared: Prepared) -> dict[int, tuple[str, str, str]]:
        lost: dict[int, tuple[str, str, str]] = {}
        for entity in ENTITIES:
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

    async def _entities(self, entity: str, offer: pl.DataFrame) -> None:
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
        if "email" in new.columns and new["email"].drop_nulls().is_duplicated().any():
            new = new.sort(ROW)  # of those with one address the first of the file comes in
        frame = self._with_references(new)
        if entity == "contact" and "created_at" in offer.columns:
            self._seen_before = offer.join(new, on=KEY, how="anti")
        if frame.is_empty():
            return
        ids = await targets.add_entities(
            self._connection,
            self._tenant_id,
            entity,
            frame.drop(ROW),
            expect_new=entity in self._all_new,
        )
        own = frame.select(KEY, ID).join(ids, left_on=KEY, right_on="external_id")
        created = own.filter(pl.col(ID) == pl.col("internal_id"))
        self.counts.inserted[entity] += created.height
        self.counts.linked[entity] += own.height - created.height
        self._note_new(entity, all_new=created.height == own.height)
        self._ids[entity] = pl.concat([self._ids[entity], ids])
        self.created[entity] = ids
        if entity == "contact" and self._prepared.consents is not None:
            await self._consents(self._prepared.consents, created)

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

    async def _activities(self, offer: pl.DataFrame) -> None:
        self.counts.offered["activity"] += offer.height
        first = offer.unique(KEY, keep="first", maintain_order=True)
        frame = self._with_references(first).with_columns(
            pl.lit(self._mapping.source).alias("integration_source")
        )
        self.counts.inserted["activity"] += await targets.add_activities(
            self._connection, self._tenant_id, frame.drop(ROW)
        )

    async def _events(self, offer: pl.DataFrame) -> None:
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
            expect_new="event" in self._all_new,
        )
        self.counts.inserted.update(inserted)
        self._note_new("event", all_new=inserted.total() == frame.height)

    def _note_new(self, target: str, *, all_new: bool) -> None:
        if all_new:
            self._all_new.add(target)
        else:
            self._all_new.discard(target)

    def _with_references(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Replace `<entity>_key` by `<entity>_id`."""
        for entity in ENTITIES:
            if key_of(entity) in frame.columns:
                ids = self._ids[entity].rename({"internal_id": f"{entity}_id"})
                frame = frame.join(
                    ids, left_on=key_of(entity), right_on="external_id", how="left",
                    maintain_order="left",
                ).drop(key_of(entity))  # fmt: skip
        return frame


def builds_on(prepared: Prepared, ids: Ids) -> bool:
    """Whether an account, contact or deal of the chunk refers to one of these."""
    return any(
        prepared.offers[kind][key_of(entity)].is_in(known["external_id"].implode()).any()
        for kind in ENTITIES
        if kind in prepared.offers
        for entity, known in ids.items()
        if key_of(entity) in prepared.offers[kind].columns
    )


def _keys_of(prepared: Prepared, entity: str) -> Iterable[tuple[pl.DataFrame, str]]:
    if entity in prepared.offers:
        yield prepared.offers[entity], KEY
    yield from _references_to(prepared, entity)


def _references_to(prepared: Prepared, entity: str) -> Iterable[tuple[pl.DataFrame, str]]:
    for frame in prepared.offers.values():
        if key_of(entity) in frame.columns:
            yield frame, key_of(entity)
