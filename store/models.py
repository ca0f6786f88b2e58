"""Trained models of a tenant: every artefact kept under its digest, one champion of each kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class NewModel:
    """A trained model.

    Attributes:
        digest: SHA-256 of the artefact.
        trained_until: nothing later influenced it.
    """

    digest: str
    kind: str
    artefact: bytes
    metrics: Mapping[str, Any]
    features: list[str]
    trained_until: datetime


async def add_champion(connection: AsyncConnection, tenant_id: TenantId, model: NewModel) -> None:
    """Store a model and make it the champion of its kind; the one before is retired, not deleted.

    The same artefact again becomes the champion again.
    """
    await connection.execute(
        text(
            "UPDATE keepwell.models SET status = 'retired' "
            "WHERE status = 'champion' AND kind = :kind"
        ),
        {"kind": model.kind},
    )
    await connection.execute(
        text(
            "INSERT INTO keepwell.models (tenant_id, digest, kind, artefact, metrics, features, "
            "trained_until, status) VALUES (:tenant, :digest, :kind, :artefact, "
            "cast(:metrics AS jsonb), cast(:features AS jsonb), :until, 'champion') "
            "ON CONFLICT (tenant_id, digest) DO UPDATE SET status = 'champion'"
        ),
        {
            "tenant": tenant_id,
            "digest": model.digest,
            "kind": model.kind,
            "artefact": model.artefact,
            "metrics": orjson.dumps(model.metrics, option=orjson.OPT_NON_STR_KEYS).decode(),
            "features": orjson.dumps(model.features).decode(),
            "until": model.trained_until,
        },
    )
