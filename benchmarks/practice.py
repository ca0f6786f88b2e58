"""The practice that is measured: synthetic, imported like a customer's file, on real servers."""

import asyncio
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import polars as pl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from embedded.servers import EmbeddedServers
from engine.errors import TooFewData
from engine.features.tables import FeatureTables
from engine.ids import TenantId
from engine.profile import Profile
from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from services.playbook import Playbook, playbook_at
from services.profiles import all_profiles
from services.run_demo import demo_moment
from services.settings import Settings
from services.train_churn import train_churn
from services.wiring import Runtime, make_clock, make_database
from simulate.practice import appointments
from store.profiles import list_contacts
from store.upgrade import upgrade

T = TypeVar("T")

SEED = 20260301
# copies of contacts have ids all over the range, in order, as the partitions of a run have them
_SPREAD = 3_800  # 2**32 for a little over 1.1 million
PATIENTS = 6_000  # about as many as are asked about: a second decision on a day costs less
# Everybody has agreed to marketing, so that four in ten decisions end in a message: deciding to do
# nothing is the cheaper half of the work.
_AGREED = text("""
  INSERT INTO keepwell.consents
    (tenant_id, contact_id, channel, purpose, status, basis, source, effective_at)
  SELECT tenant_id, id, 'email', 'marketing', 'granted', 'form', 'benchmark',
         created_at AT TIME ZONE 'UTC'
    FROM crm_contacts
""")


@dataclass(frozen=True, slots=True)
class Practice:
    """A tenant with history.

    Attributes:
        contacts: ids.
        appointments: in its history; each is one to three events.
        tier: model or scorecard, whichever serves.
    """

    tenant_id: TenantId
    contacts: tuple[str, ...]
    appointments: int
    tier: str


@dataclass(frozen=True, slots=True)
class Everybody:
    """All contacts of the practice, in memory; `tables` are those of the profiles, in order."""

    playbook: Playbook
    profiles: Sequence[Profile]
    tables: FeatureTables
    as_of: datetime

    def times(self, n: int, *, first: int = 0) -> "Everybody":
        """Return n contacts: these over and over, each with an id of its own, from `first` on."""
        whole = -(-n // len(self.profiles))
        ids = [
            f"{_SPREAD * number % 2**32:08x}-0000-4000-8000-{number:012x}"
            for number in range(first, first + n)
        ]
        profiles = [
            replace(self.profiles[number % len(self.profiles)], contact_id=each)
            for number, each in enumerate(ids)
        ]
        contacts = pl.concat([self.tables.contacts] * whole).head(n)
        contacts = contacts.with_columns(pl.Series("contact_id", ids))
        return replace(
            self,
            profiles=profiles,
            tables=FeatureTables(contacts, self._subjects(n, contacts["contact_id"])),
        )

    def _subjects(self, n: int, ids: pl.Series) -> dict[str, pl.DataFrame]:
        """Each contact's subjects again for everybody who stands for it."""
        owners = pl.DataFrame({"of": [p.contact_id for p in self.profiles]})
        copies = pl.concat([owners] * -(-n // owners.height)).head(n).with_columns(contact_id=ids)
        return {
            kind: copies.join(
                table.rename({"contact_id": "of"}),
                on="of",
                how="inner",
                maintain_order="left_right",
            ).drop("of")
            for kind, table in self.tables.subjects.items()
        }


class World:
    """What the areas share, made when first asked for and ended together."""

    def __init__(self) -> None:
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    @cached_property
    def runtime(self) -> Runtime:
        """PostgreSQL and Valkey in a new home, committing to disk as in production."""
        return self._open.enter_context(_running_servers())

    @property
    def practice(self) -> Practice:
        """The practice most areas use."""
        return self._made[0]

    @property
    def everybody(self) -> Everybody:
        """Its contacts in memory, as they were before anything was decided for them."""
        return self._made[1]

    @cached_property
    def _made(self) -> tuple[Practice, Everybody]:
        async def make(runtime: Runtime) -> tuple[Practice, Everybody]:
            practice = await make_practice(runtime, "bench", patients=PATIENTS)
            now, tenant_id = runtime.clock.now(), practice.tenant_id
            async with runtime.database.transaction(tenant_id) as connection:
                playbook = await playbook_at(connection, tenant_id, now)
                profiles, _, tables = await all_profiles(connection, playbook, now)
            return practice, Everybody(playbook, profiles, tables, now)

        return self.run(make)

    def run(self, use: Callable[[Runtime], Awaitable[T]]) -> T:
        """Run a coroutine on the servers, with a pool of its own."""
        runtime = self.runtime

        async def on_a_pool_of_its_own() -> T:
            database = make_database(runtime.settings, runtime.database_url, runtime.clock)
            try:
                return await use(runtime.using(database))
            finally:
                await database.close()

        return asyncio.run(on_a_pool_of_its_own())


def real_file(name: str) -> Path | None:
    """A file of the real data; None where it is absent."""
    named = os.environ.get("KEEPWELL_TEST_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    return folder / name if (folder / name).exists() else None


@contextmanager
def _running_servers() -> Iterator[Runtime]:
    """The clock shows ten in the morning of the last working day: messages may be sent."""
    with tempfile.TemporaryDirectory(prefix="keepwell-bench-") as folder:
        home = Path(folder)
        settings = Settings(home=home, clock=demo_moment(datetime.now(UTC)), _env_file=None)
        with EmbeddedServers.start(home, lasting=True) as servers:
            upgrade(servers.owner_database_url)
            clock = make_clock(settings)
            yield Runtime(
                settings=settings,
                clock=clock,
                database=make_database(settings, servers.app_database_url, clock),
                database_url=servers.app_database_url,
                redis_url=servers.redis_url,
                owner_database_url=servers.owner_database_url,
                embedded=True,
            )


async def make_practice(
    runtime: Runtime, slug: str, *, patients: int, trained: bool = True
) -> Practice:
    """Import a synthetic practice; train its model, or leave its health to the scorecard."""
    now = runtime.clock.now()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "appointments.csv"
        history = appointments(patients=patients, until=now, seed=SEED)
        history.write_csv(file)
        order = ImportOrder(
            file=file,
            mapping=load_mapping("demo_practice"),
            tenant=slug,
            rejects=Path(folder) / "rejects.csv",
        )
        tenant_id = (await import_file(runtime.database, order)).tenant_id
    async with runtime.database.transaction(tenant_id) as connection:
        tier = await _trained(connection, runtime, tenant_id) if trained else "scorecard"
        await connection.execute(_AGREED)
        contacts = (await list_contacts(connection, now))["contact_id"].to_list()
        await connection.execute(text("ANALYZE"))
    return Practice(tenant_id, tuple(contacts), history.height, tier)


async def _trained(connection: AsyncConnection, runtime: Runtime, tenant_id: TenantId) -> str:
    try:
        await train_churn(connection, runtime, tenant_id, by="benchmark")
    except TooFewData:
        return "scorecard"
    return "model"
