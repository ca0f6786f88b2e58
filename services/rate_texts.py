"""Rate how the texts of a tenant's customers sound; each text once."""

from datetime import datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy.ext.asyncio import AsyncConnection

from content.sentiment import model_name, rate
from engine.ids import TenantId
from store.database import Database
from store.sentiment import UnratedText, count_ratings, list_unrated, save_ratings

CHUNK_TEXTS = 2_000  # a sixth of a second of rating, and as long a transaction
_UTC = pl.Datetime("us", "UTC")


async def rate_texts(
    database: Database, tenant_id: TenantId, *, now: datetime | None
) -> dict[str, Any]:
    """Rate all texts that are new, have changed, or were rated by another model.

    Committed in chunks, so a run that is cut short goes on where it stood. Returns rated (now) and
    of all: texts, abstained, positive, negative; and the model.

    Args:
        database: of the application.
        tenant_id: whose texts.
        now: since when a decision may know the new ratings; None: since the text was written, for
            an imported history.
    """
    rated, after = 0, UUID(int=0)
    while True:
        async with database.transaction(tenant_id) as connection:
            texts = await list_unrated(connection, model_name(), after=after, limit=CHUNK_TEXTS)
            if texts:
                rated += await save_ratings(connection, tenant_id, _ratings(texts, now))
                after = texts[-1].activity_id
        if len(texts) < CHUNK_TEXTS:
            break
    async with database.transaction(tenant_id) as connection:
        return {"rated": rated, "model": model_name(), **await counted(connection)}


async def counted(connection: AsyncConnection) -> dict[str, Any]:
    """Return how many texts of the tenant are rated, and how."""
    return await count_ratings(connection)


def _ratings(texts: list[UnratedText], now: datetime | None) -> pl.DataFrame:
    tones = [rate(each.words) for each in texts]
    return pl.DataFrame(
        {
            "activity_id": [str(each.activity_id) for each in texts],
            "contact_id": [str(each.contact_id) for each in texts],
            "model": [model_name()] * len(texts),
            "score": [None if tone is None else tone.score for tone in tones],
            "positive_probability": [
                None if tone is None else tone.positive_probability for tone in tones
            ],
            "text_sha256": ["\\x" + each.words_sha256.hex() for each in texts],
            "written_at": [each.written_at for each in texts],
            "known_at": [each.known_at or now or each.written_at for each in texts],
        },
        schema_overrides={
            "score": pl.Float64,
            "positive_probability": pl.Float64,
            "written_at": _UTC,
            "known_at": _UTC,
        },
    )
