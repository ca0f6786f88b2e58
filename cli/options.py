"""Options that several commands share, and how their values are read."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cli.output import run
from engine.errors import InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from engine.ids import TenantId
    from services.wiring import Runtime

T = TypeVar("T")

Tenant = Annotated[str, typer.Option(help="Slug of the tenant.")]
AsOf = Annotated[
    str | None,
    typer.Option(help="Decide with what was known then, e.g. 2016-06-01T00:00:00Z. [default: now]"),
]
On = Annotated[
    str | None,
    typer.Option(
        "--on", "--as-of", help="As it was known then, e.g. 2016-06-01T06:00:00Z. [default: now]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

# what a tenant's command does inside its transaction
Use = Callable[["AsyncConnection", "Runtime", "TenantId"], Awaitable[T]]


def moment_of(text: str | None) -> datetime | None:
    """Return the moment a person wrote; without a zone it is UTC.

    Raises:
        InvalidInput: it is no ISO 8601 date or time.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"'{text}' is no moment: {error}.", hint="Write it as 2016-06-01T00:00:00Z."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def run_for(tenant: str, use: Use[T]) -> T:
    """Open the runtime and one transaction of the tenant; run, commit, return the result."""
    from store.tenants import get_tenant_id

    async def inside(runtime: "Runtime") -> T:
        async with runtime.database.without_tenant() as connection:
            tenant_id = await get_tenant_id(connection, tenant)
        async with runtime.database.transaction(tenant_id) as connection:
            return await use(connection, runtime, tenant_id)

    return run(inside)


Document = dict[str, Any]
