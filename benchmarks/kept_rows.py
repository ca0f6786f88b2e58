"""Decisions kept as an engineer keeps them first: an INSERT per row, a commit per contact."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from types import TracebackType
from typing import Any, Self

import orjson
import psycopg
from psycopg import sql

from engine.ids import TenantId
from engine.profile import Profile


class KeptRows:
    """One connection of one tenant; statements are prepared by the driver."""

    def __init__(self, database_url: str, tenant_id: TenantId) -> None:
        self._url = database_url.replace("postgresql+psycopg", "postgresql")
        self._tenant_id = tenant_id

    def __enter__(self) -> Self:
        self._connection = psycopg.connect(self._url, prepare_threshold=1)
        self._connection.execute(
            "SELECT set_config('app.tenant_id', %s, false), "
            "set_config('app.clock_offset', '0 s', false)",
            (str(self._tenant_id),),
        )
        self._connection.commit()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def add(
        self,
        decision: Mapping[str, Any],
        candidates: Sequence[Mapping[str, Any]],
        profile: Profile,
    ) -> None:
        """Write a decision and each of its candidates; committed."""
        text = orjson.dumps(profile.as_document(), option=orjson.OPT_SORT_KEYS)
        told = {
            **decision,
            "profile": text.decode(),
            "profile_digest": hashlib.sha256(text).hexdigest(),
            "treatment": orjson.dumps(decision["treatment"]).decode(),
        }
        self._insert("decisions", told)
        for candidate in candidates:
            self._insert("candidates", candidate)
        self._connection.commit()

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        self._connection.execute(_statement(table, tuple(row)), tuple(row.values()))


@cache
def _statement(table: str, columns: tuple[str, ...]) -> sql.Composed:
    return sql.SQL("INSERT INTO keepwell.{} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
    )
