"""A process that looks at due contacts, there to be killed."""

import asyncio
from pathlib import Path
from tempfile import gettempdir

from engine.ids import TenantId
from services.check_due import check_due
from services.clock import Clock
from services.settings import Settings
from services.wiring import Runtime
from store.database import Database


def look(database_url: str, clock: Clock, tenant_id: TenantId) -> None:
    """Look once at what is due."""
    asyncio.run(_look(database_url, clock, tenant_id))


async def _look(database_url: str, clock: Clock, tenant_id: TenantId) -> None:
    runtime = Runtime(
        settings=Settings(home=Path(gettempdir()), _env_file=None),
        clock=clock,
        database=Database(database_url, clock_offset=clock.offset, pool_size=2),
        database_url=database_url,
        redis_url=None,
        owner_database_url=None,
        embedded=False,
    )
    await check_due(runtime, tenant_id)
