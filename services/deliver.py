"""Delivers what is due: claim, call, record; each message is accepted at most once per id.

Between claim and record no transaction is open. A worker may die at any line here: the lease runs
out and another one takes over with the same id and the same bytes.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.utils import formataddr

from engine.errors import DatabaseUnavailable, KeepwellError, ProviderUnavailable
from engine.ids import TenantId
from gateways.sender import AcceptanceUnknown, Message, Receipt, Sender
from services.deliver_claim import LOCAL_CHANNELS, Claimed, claim_due
from services.deliver_outcome import Terms
from services.deliver_record import LOST_LEASE, record_end
from store.database import Database
from store.sends import Send

log = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class DeliverySummary:
    """How many sends ended where.

    Attributes:
        postponed: held back by the gate or by a provider that is down; they stay pending.
        lost_lease: another worker had taken over, or the database was away for too long.
    """

    sent: int = 0
    postponed: int = 0
    suppressed: int = 0
    failed: int = 0
    unknown: int = 0
    lost_lease: int = 0

    @property
    def seen(self) -> int:
        """All of them."""
        return sum(asdict(self).values())

    def __add__(self, other: "DeliverySummary") -> "DeliverySummary":
        """Sum of both, number by number."""
        mine, others = asdict(self), asdict(other)
        return DeliverySummary(**{name: mine[name] + others[name] for name in mine})


@dataclass(frozen=True)
class Channels:
    """The ways out of this process.

    Attributes:
        senders: by channel; a channel without one waits until there is one.
        terms: see `Terms`.
    """

    senders: Mapping[str, Sender]
    terms: Terms = Terms()  # noqa: RUF009 - frozen

    async def close(self) -> None:
        """Close every sender."""
        for sender in self.senders.values():
            await sender.close()


class ChannelNotConfigured(ProviderUnavailable):
    """Nothing in this process can send on the channel."""

    code = "channel_not_configured"


async def deliver_due(
    database: Database,
    channels: Channels,
    tenant_id: TenantId,
    *,
    limit: int = 200,
    stop: asyncio.Event | None = None,
) -> DeliverySummary:
    """Deliver up to `limit` of the tenant's due sends in batches; `stop` ends it between two.

    Raises:
        DatabaseUnavailable: before anything was claimed; what was claimed is always recorded or
            left to its lease.
    """
    total = DeliverySummary()
    while total.seen < limit and not (stop is not None and stop.is_set()):
        batch = await _deliver_batch(
            database, channels, tenant_id, min(channels.terms.batch, limit - total.seen)
        )
        if batch.seen == 0:
            break
        total += batch
    return total


async def _deliver_batch(
    database: Database, channels: Channels, tenant_id: TenantId, size: int
) -> DeliverySummary:
    delivery = _Delivery(database, channels, tenant_id, claimed_at=time.monotonic())
    lifetimes = {name: sender.key_lifetime for name, sender in channels.senders.items()}
    async with database.transaction(tenant_id) as connection:
        claim = await claim_due(connection, tenant_id, lifetimes, channels.terms, limit=size)
    calls = asyncio.Semaphore(channels.terms.parallel_calls)
    states = await asyncio.gather(
        *(delivery.deliver(claimed, claim.sender, calls) for claimed in claim.claimed)
    )
    ended = Counter(states) + claim.aside
    return DeliverySummary(
        sent=ended["sent"],
        postponed=ended["pending"],
        suppressed=ended["suppressed"],
        failed=ended["failed"],
        unknown=ended["unknown"],
        lost_lease=ended[LOST_LEASE],
    )


@dataclass(frozen=True)
class _Delivery:
    """One batch.

    Attributes:
        claimed_at: on this machine's monotonic clock, taken before the claim began: leases end no
            earlier than `lease_seconds` after it.
    """

    database: Database
    channels: Channels
    tenant_id: TenantId
    claimed_at: float

    async def deliver(self, claimed: Claimed, sender: str | None, calls: asyncio.Semaphore) -> str:
        """Call and record; return the send's state."""
        async with calls:
            end = await self._call(claimed.send, sender)
        return await self._record(claimed, end)

    async def _call(self, send: Send, sender: str | None) -> Receipt | KeepwellError | None:
        if send.channel in LOCAL_CHANNELS:
            return Receipt(provider_id="")
        way = self.channels.senders.get(send.channel)
        if way is None:
            return ChannelNotConfigured(f"There is no sender for channel {send.channel}.")
        # a worker that was frozen since its claim must not call when another may have the send
        if self._lease_left() <= self.channels.terms.call_seconds:
            return None
        return await _ask(way, _message(send, sender), self.channels.terms.call_seconds)

    async def _record(self, claimed: Claimed, end: Receipt | KeepwellError | None) -> str:
        way = self.channels.senders.get(claimed.send.channel)
        wait_seconds = _FIRST_WAIT_SECONDS
        while True:
            try:
                async with self.database.transaction(self.tenant_id) as connection:
                    return await record_end(
                        connection,
                        self.tenant_id,
                        claimed,
                        end,
                        key_lifetime=None if way is None else way.key_lifetime,
                        terms=self.channels.terms,
                    )
            except DatabaseUnavailable:
                # an accepted message that is not on record goes out again: worth some patience
                if self._lease_left() < wait_seconds:
                    log.exception("send %s: its end could not be recorded", claimed.send.id)
                    return LOST_LEASE
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(wait_seconds * 2, _LONGEST_WAIT_SECONDS)

    def _lease_left(self) -> float:
        return self.claimed_at + self.channels.terms.lease_seconds - time.monotonic()


async def _ask(way: Sender, message: Message, seconds: float) -> Receipt | KeepwellError:
    try:
        async with asyncio.timeout(seconds):
            return await way.send(message)
    except KeepwellError as error:
        return error
    except TimeoutError:
        return AcceptanceUnknown("The provider did not answer in time.")
    except Exception as error:  # one message's fault must not take the batch with it
        log.exception("send %s: its sender broke", message.send_id)
        return AcceptanceUnknown(f"The sender broke: {type(error).__name__}.")


def _message(send: Send, sender: str | None) -> Message:
    content = send.content
    return Message(
        send_id=send.id,
        recipient=send.recipient,
        text=str(content.get("text") or ""),
        written_at=send.created_at,
        subject=str(content.get("subject") or ""),
        html=content.get("html"),
        sender=(_own_sender(send) or sender) if send.channel == "email" else None,
        headers=content.get("headers") or {},
    )


def _own_sender(send: Send) -> str | None:
    own = send.content.get("sender") or {}
    return formataddr((own.get("name") or "", own["email"])) if own.get("email") else None
