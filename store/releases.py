"""Releases of a tenant's rules: files of fixed versions, and the statuses people gave to rules."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ids import TenantId


@dataclass(frozen=True, slots=True)
class Member:
    """A rules file of a release.

    Attributes:
        version: counts from 1 within the name.
        digest: SHA-256 (hex) of its texts.
    """

    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class StatusGiven:
    """A status that a person gave to a rule; it holds while the rule has this meaning."""

    status: str
    meaning: str


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A checked release; see `Release`."""

    digest: str
    members: tuple[Member, ...]
    statuses: Mapping[str, StatusGiven]
    made_by: str
    approved_by: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """What a tenant's rules were from one moment on.

    Attributes:
        number: counts from 1; the highest is in force.
        digest: SHA-256 (hex) of members and statuses; stands on every decision.
        members: in the order of their names.
        statuses: by rule id; a rule that is not named has the status of its file.
        approved_by: the second person; None where none was asked for.
        made_at: UTC.
    """

    number: int
    digest: str
    members: tuple[Member, ...]
    statuses: Mapping[str, StatusGiven]
    made_by: str
    approved_by: str | None
    reason: str
    made_at: datetime


@dataclass(frozen=True, slots=True)
class StoredTexts:
    """A version of a rules file as it was uploaded, with its vocabulary."""

    name: str
    version: int
    document: str
    vocabulary: str
    created_by: str


@dataclass(frozen=True, slots=True)
class NewTexts:
    """A version to store; see `StoredTexts`."""

    name: str
    digest: str
    document: str
    vocabulary: str
    created_by: str


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a rule would have proposed in [from_at, to_at), aware times.

    Attributes:
        meaning: of the rule that was tested; another meaning needs another backtest.
        result: figures as a JSON object; no personal data.
    """

    rule_id: str
    meaning: str
    from_at: datetime
    to_at: datetime
    made_by: str
    result: Mapping[str, Any] = field(default_factory=dict)


async def lock_releases(connection: AsyncConnection, tenant_id: TenantId) -> None:
    """Let nobody else make a release of the tenant until the transaction ends."""
    await connection.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended('rules ' || :tenant, 0))"),
        {"tenant": str(tenant_id)},
    )


# ---------------------------------------------------------------------------------- releases

_COLUMNS = (
    "number, digest, members::text AS members, statuses::text AS statuses, made_by, approved_by, "
    "reason, made_at"
)


async def find_release(connection: AsyncConnection, number: int | None = None) -> Release | None:
    """Return the release of this number, of None the one in force; None if there is none."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM keepwell.rule_releases "
            "WHERE cast(:number AS integer) IS NULL OR number = :number "
            "ORDER BY number DESC LIMIT 1"
        ),
        {"number": number},
    )
    row = rows.one_or_none()
    return None if row is None else _release(row)


async def find_release_of(connection: AsyncConnection, digest: str) -> Release | None:
    """Return the newest release with this digest; all of one digest say the same."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM keepwell.rule_releases WHERE digest = :digest "
            "ORDER BY number DESC LIMIT 1"
        ),
        {"digest": digest},
    )
    row = rows.one_or_none()
    return None if row is None else _release(row)


async def list_releases(
    connection: AsyncConnection, *, before: int | None = None, limit: int = 50
) -> list[Release]:
    """Return releases with numbers below `before` (None: all), newest first."""
    rows = await connection.execute(
        text(
            f"SELECT {_COLUMNS} FROM keepwell.rule_releases "
            "WHERE cast(:before AS integer) IS NULL OR number < :before "
            "ORDER BY number DESC LIMIT :limit"
        ),
        {"before": before, "limit": limit},
    )
    return [_release(row) for row in rows]


async def add_release(
    connection: AsyncConnection, tenant_id: TenantId, release: NewRelease
) -> Release:
    """Put a release in force and return it; its members become live, all other files retired.

    The caller holds the lock of `lock_releases`.
    """
    row = await connection.execute(
        text(
            "INSERT INTO keepwell.rule_releases "
            "(tenant_id, number, digest, members, statuses, made_by, approved_by, reason) "
            "SELECT :tenant, coalesce(max(number), 0) + 1, :digest, cast(:members AS jsonb), "
            "cast(:statuses AS jsonb), :by, :approved_by, :reason FROM keepwell.rule_releases "
            f"RETURNING {_COLUMNS}"
        ),
        {
            "tenant": tenant_id,
            "digest": release.digest,
            "members": orjson.dumps([asdict(member) for member in release.members]).decode(),
            "statuses": orjson.dumps(
                {rule: asdict(given) for rule, given in release.statuses.items()}
            ).decode(),
            "by": release.made_by,
            "approved_by": release.approved_by,
            "reason": release.reason,
        },
    )
    await _mark_live(connection, release.members)
    return _release(row.one())


async def _mark_live(connection: AsyncConnection, members: Sequence[Member]) -> None:
    values = {"names": [m.name for m in members], "versions": [m.version for m in members]}
    in_force = "(SELECT * FROM unnest(cast(:names AS text[]), cast(:versions AS integer[]))) "
    # first out, then in: at most one version of a name is live at any time
    for statement in (
        "UPDATE keepwell.rule_sets SET status = 'retired' WHERE status = 'live' "
        f"AND (name, version) NOT IN {in_force}",
        "UPDATE keepwell.rule_sets SET status = 'live' WHERE status <> 'live' "
        f"AND (name, version) IN {in_force}",
    ):
        await connection.execute(text(statement), values)


def _release(row: Row[Any]) -> Release:
    return Release(
        number=row.number,
        digest=row.digest,
        members=tuple(Member(**each) for each in orjson.loads(row.members)),
        statuses={rule: StatusGiven(**given) for rule, given in orjson.loads(row.statuses).items()},
        made_by=row.made_by,
        approved_by=row.approved_by,
        reason=row.reason,
        made_at=row.made_at,
    )


# --------------------------------------------------------------------------- texts of files

_TEXTS = "name, version, document, vocabulary, created_by"


async def add_texts(connection: AsyncConnection, tenant_id: TenantId, texts: NewTexts) -> int:
    """Store a version of a rules file, not live yet; return its number within the name."""
    added = await connection.execute(
        text(
            "INSERT INTO keepwell.rule_sets "
            "(tenant_id, name, version, digest, status, document, vocabulary, created_by) "
            "SELECT :tenant, :name, coalesce(max(version), 0) + 1, :digest, 'draft', :document, "
            ":vocabulary, :by FROM keepwell.rule_sets WHERE name = :name RETURNING version"
        ),
        {
            "tenant": tenant_id,
            "name": texts.name,
            "digest": texts.digest,
            "document": texts.document,
            "vocabulary": texts.vocabulary,
            "by": texts.created_by,
        },
    )
    return int(added.scalar_one())


async def list_texts(
    connection: AsyncConnection, members: Sequence[Member]
) -> dict[str, StoredTexts]:
    """Return the texts of these versions by name; one that is not stored any more is absent."""
    rows = await connection.execute(
        text(
            f"SELECT {_TEXTS} FROM keepwell.rule_sets WHERE (name, version) IN "
            "(SELECT * FROM unnest(cast(:names AS text[]), cast(:versions AS integer[])))"
        ),
        {"names": [m.name for m in members], "versions": [m.version for m in members]},
    )
    return {row.name: StoredTexts(*row) for row in rows}


async def list_live_texts(connection: AsyncConnection) -> list[StoredTexts]:
    """Return the versions marked live, by name."""
    rows = await connection.execute(
        text(f"SELECT {_TEXTS} FROM keepwell.rule_sets WHERE status = 'live' ORDER BY name")
    )
    return [StoredTexts(*row) for row in rows]


async def find_texts_of(connection: AsyncConnection, digest: str) -> StoredTexts | None:
    """Return a version by the digest stored with it, the newest if several have it."""
    rows = await connection.execute(
        text(
            f"SELECT {_TEXTS} FROM keepwell.rule_sets WHERE digest = :digest "
            "ORDER BY created_at DESC, name, version DESC LIMIT 1"
        ),
        {"digest": digest},
    )
    row = rows.one_or_none()
    return None if row is None else StoredTexts(*row)


# -------------------------------------------------------------------------------- backtests


async def record_backtest(
    connection: AsyncConnection, tenant_id: TenantId, backtest: Backtest
) -> None:
    """Keep what a backtest found; promotion to live asks for one of the rule's own meaning."""
    await connection.execute(
        text(
            "INSERT INTO keepwell.rule_backtests "
            "(tenant_id, rule_id, meaning, from_at, to_at, result, made_by) VALUES "
            "(:tenant, :rule, :meaning, :from_at, :to_at, cast(:result AS jsonb), :by)"
        ),
        {
            "tenant": tenant_id,
            "rule": backtest.rule_id,
            "meaning": backtest.meaning,
            "from_at": backtest.from_at,
            "to_at": backtest.to_at,
            "result": orjson.dumps(backtest.result).decode(),
            "by": backtest.made_by,
        },
    )


async def find_backtest(connection: AsyncConnection, rule_id: str, meaning: str) -> Backtest | None:
    """Return the newest backtest of a rule with this meaning, or None."""
    rows = await connection.execute(
        text(
            "SELECT rule_id, meaning, from_at, to_at, made_by, result::text AS result "
            "FROM keepwell.rule_backtests WHERE rule_id = :rule AND meaning = :meaning "
            "ORDER BY id DESC LIMIT 1"
        ),
        {"rule": rule_id, "meaning": meaning},
    )
    row = rows.one_or_none()
    if row is None:
        return None
    return Backtest(
        rule_id=row.rule_id,
        meaning=row.meaning,
        from_at=row.from_at,
        to_at=row.to_at,
        made_by=row.made_by,
        result=orjson.loads(row.result),
    )
