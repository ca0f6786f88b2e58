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
        facts: what describes it: data window, rows, calibration, libraries.
    """

    digest: str
    kind: str
    artefact: bytes
    metrics: Mapping[str, Any]
    features: list[str]
    trained_until: datetime
    facts: Mapping[str, Any]


async def add_challenger(connection: AsyncConnection, tenant_id: TenantId, model: NewModel) -> str:
    """Store a model as a challenger and return its status; one that is there stays as it is."""
    found: str | None = await connection.scalar(
        text(
            "INSERT INTO keepwell.models (tenant_id, digest, kind, artefact, metrics, features, "
            "trained_until, facts, status) VALUES (:tenant, :digest, :kind, :artefact, "
            "cast(:metrics AS jsonb), cast(:features AS jsonb), :until, cast(:facts AS jsonb), "
            "'challenger') ON CONFLICT (tenant_id, digest) DO UPDATE SET facts = excluded.facts "
            "RETURNING status"
        ),
        {
            "tenant": tenant_id,
            "digest": model.digest,
            "kind": model.kind,
            "artefact": model.artefact,
            "metrics": orjson.dumps(model.metrics, option=orjson.OPT_NON_STR_KEYS).decode(),
            "features": orjson.dumps(model.features).decode(),
            "until": model.trained_until,
            "facts": orjson.dumps(model.facts).decode(),
        },
    )
    return str(found)


async def make_champion(
    connection: AsyncConnection, digest: str, kind: str, *, before_becomes: str = "retired"
) -> None:
    """Make a stored model the champion of its kind.

    The one before gets the status `before_becomes`: 'retired', to which a rollback may return, or
    'challenger' where it is taken back.
    """
    await connection.execute(
        text(
            "UPDATE keepwell.models SET status = :becomes, promoted_at = CASE "
            "WHEN :becomes = 'retired' THEN promoted_at END "
            "WHERE status = 'champion' AND kind = :kind AND digest <> :digest"
        ),
        {"becomes": before_becomes, "kind": kind, "digest": digest},
    )
    await connection.execute(
        text(
            "UPDATE keepwell.models SET status = 'champion', promoted_at = keepwell.clock() "
            "WHERE digest = :digest"
        ),
        {"digest": digest},
    )


async def find_champion(connection: AsyncConnection, kind: str) -> str | None:
    """Return the champion's digest, None without one."""
    found: str | None = await connection.scalar(
        text("SELECT digest FROM keepwell.models WHERE status = 'champion' AND kind = :kind"),
        {"kind": kind},
    )
    return found


async def find_champion_before(connection: AsyncConnection, kind: str) -> str | None:
    """Return the champion before the present one, None without one."""
    found: str | None = await connection.scalar(
        text(
            "SELECT digest FROM keepwell.models WHERE status = 'retired' AND kind = :kind "
            "ORDER BY promoted_at DESC NULLS LAST, created_at DESC LIMIT 1"
        ),
        {"kind": kind},
    )
    return found


async def list_models(
    connection: AsyncConnection, *, digest_begins: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Return the models whose digest begins so, newest first, without their artefacts."""
    rows = await connection.execute(
        text(
            "SELECT row_to_json(m)::text FROM (SELECT digest, kind, status, metrics, features, "
            "facts, trained_until, created_at, promoted_at, length(artefact) AS bytes "
            "FROM keepwell.models WHERE starts_with(digest, :begins) "
            "ORDER BY created_at DESC, digest LIMIT :limit) m"
        ),
        {"begins": digest_begins, "limit": limit},
    )
    return [orjson.loads(row[0]) for row in rows]


async def add_trial(  # noqa: PLR0913 - a row
    connection: AsyncConnection,
    tenant_id: TenantId,
    *,
    challenger: str,
    champion: str | None,
    promoted: bool,
    result: Mapping[str, Any],
    by: str,
) -> None:
    """Keep what a comparison found."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.model_trials (tenant_id, challenger, champion, promoted, result, "
            "made_by) VALUES (:tenant, :challenger, :champion, :promoted, "
            "cast(:result AS jsonb), :by)"
        ),
        {
            "tenant": tenant_id,
            "challenger": challenger,
            "champion": champion,
            "promoted": promoted,
            "result": orjson.dumps(result).decode(),
            "by": by,
        },
    )


async def list_trials(connection: AsyncConnection, digest: str) -> list[dict[str, Any]]:
    """Return the comparisons a model took part in as challenger, newest first."""
    rows = await connection.execute(
        text(
            "SELECT challenger, champion, promoted, result, made_by, made_at "
            "FROM keepwell.model_trials WHERE challenger = :digest ORDER BY id DESC LIMIT 20"
        ),
        {"digest": digest},
    )
    return [dict(row) for row in rows.mappings()]
