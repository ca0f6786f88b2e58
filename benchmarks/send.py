"""The outbox against bare SMTP: what claim, gate, lease and record cost."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.utils import parseaddr
from pathlib import Path

import aiosmtplib

from benchmarks.figures import Figure, Measured
from benchmarks.practice import Practice, World, make_practice
from gateways.letter import compose
from services.decide import decide_tenant
from services.deliver import Channels, _message, deliver_due
from services.run_demo import WORKING_HOURS
from services.senders import make_channels
from services.wiring import Runtime
from store.database import Database
from store.sends import Send, list_sends

PATIENTS = 3_500
MESSAGES = 200  # each round
ROUNDS, WARM_UP = 4, 1
_ROOT = Path(__file__).parents[1]


def measure(world: World) -> Measured:
    """Deliver promised messages in batches of 200, and hand the same letters to SMTP."""

    async def run(runtime: Runtime) -> Measured:
        practice = await make_practice(runtime, "send", patients=PATIENTS, trained=False)
        async with runtime.database.transaction(practice.tenant_id) as connection:
            await decide_tenant(connection, runtime, practice.tenant_id)
        with _receiver() as url:
            return await _measured(runtime, practice, url)

    return world.run(run)


async def _measured(runtime: Runtime, practice: Practice, url: str) -> Measured:
    later = Database(
        runtime.database_url, clock_offset=runtime.clock.offset + WORKING_HOURS, pool_size=8
    )
    channels = make_channels(runtime.settings.model_copy(update={"smtp_url": url}))
    try:
        async with later.transaction(practice.tenant_id) as connection:
            sends = await list_sends(connection, practice.tenant_id, limit=10_000)
        letters = [letter for send in sends if (letter := _letter(send)) is not None]
        ours, bare = [], []
        for number in range(WARM_UP + ROUNDS):
            delivered = await _delivered(later, channels, practice)
            sent = await _sent_bare(url, letters[:MESSAGES])
            if number >= WARM_UP:
                ours.append(delivered)
                bare.append(sent)
    finally:
        await channels.close()
        await later.close()
    return Measured(
        (
            Figure(
                area="send",
                name="outbox deliveries by e-mail",
                value=statistics.median(ours),
                unit="messages/s",
                reference=statistics.median(bare),
                against="the same letters over one SMTP connection, nothing recorded",
            ),
        ),
        (
            f"send: one worker, {channels.terms.parallel_calls} calls at once in batches of "
            f"{channels.terms.batch}, PostgreSQL committing to disk; the receiver is a process of "
            "its own.",
        ),
    )


async def _delivered(database: Database, channels: Channels, practice: Practice) -> float:
    """Messages a second.

    Raises:
        RuntimeError: fewer were due than are to be measured.
    """
    began = time.perf_counter()
    summary = await deliver_due(database, channels, practice.tenant_id, limit=MESSAGES)
    seconds = time.perf_counter() - began
    if summary.sent < MESSAGES * 0.95:
        raise RuntimeError(f"Too few messages were due: {summary}. Raise PATIENTS.")
    return summary.sent / seconds


async def _sent_bare(url: str, letters: Sequence[tuple[str, str, bytes]]) -> float:
    host, _, port = url.removeprefix("smtp://").partition(":")
    client = aiosmtplib.SMTP(hostname=host, port=int(port), local_hostname="localhost")
    await client.connect()
    began = time.perf_counter()
    for sender, recipient, letter in letters:
        await client.mail(sender)
        await client.rcpt(recipient)
        await client.data(letter)
    seconds = time.perf_counter() - began
    await client.quit()
    return len(letters) / seconds


def _letter(send: Send) -> tuple[str, str, bytes] | None:
    """Envelope and bytes of an e-mail, as the outbox would hand it over."""
    if send.channel != "email":
        return None
    message = _message(send, None)
    sender = message.sender or ""
    return parseaddr(sender)[1], message.recipient, compose(message, sender)


@contextmanager
def _receiver() -> Iterator[str]:
    receiver = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.smtp_receiver"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield "" if receiver.stdout is None else receiver.stdout.readline().strip()
    finally:
        receiver.communicate(timeout=10)  # closes its stdin, which ends it
