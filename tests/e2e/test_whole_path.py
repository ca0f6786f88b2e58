"""The whole path as its users walk it: import, decide, one message, what came of it, learnt."""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateways.debug_smtp import DebugSmtp

pytestmark = pytest.mark.e2e

# Wednesday, half past ten in New York. Decisions are asked for the day before: their slots have
# come, and their 72 hours are not over, so what they promise leaves at once.
CLOCK = "2026-03-11T14:30:00Z"
DAY_BEFORE = "2026-03-10T14:00:00Z"

MAPPING = """\
tenant:
  name: Oak Street Dental
  industry: healthcare
  timezone: America/New_York
  visit_events: [appointment.kept]
  sender:
    name: Oak Street Dental
    email: care@oakstreet.example
    postal_address: 1 Oak Street, Springfield
    phone: "+1 202 555 0130"
source: practice
time_zone: America/New_York
records:
  - kind: contact
    id: [Patient]
    fields: {first_name: Name, email: Email, created_at: Booked}
    consents:
      - {channel: email, purpose: treatment, basis: registration form}
  - kind: appointment
    id: [Visit]
    contact: [Patient]
    fields:
      booked_at: Booked
      starts_at: Starts
      status: {column: Status, values: {came: kept, missed: no_show}}
"""
PATIENTS = [f"p{number}" for number in range(8)]
ROWS = ["Patient,Name,Email,Visit,Booked,Starts,Status"] + [
    f"{patient},Ada,{patient}@patients.example,v{patient},2026-02-20 09:30,2026-03-06 10:00,missed"
    for patient in PATIENTS
]


@dataclass(frozen=True)
class Api:
    """The calls that a CRM makes."""

    client: httpx.AsyncClient

    async def decide(self, patient: str, **wishes: object) -> dict[str, Any]:
        path = f"/v1/contacts/external:{patient}/next-best-action"
        return self._read(await self.client.post(path, json=wishes))

    async def report(self, event_id: str, kind: str, contact: str, at: str) -> dict[str, Any]:
        event = {"id": event_id, "type": kind, "contact": contact, "occurred_at": at}
        return self._read(await self.client.post("/v1/events", json=event))

    async def show(self, decision_id: str) -> dict[str, Any]:
        return self._read(await self.client.get(f"/v1/decisions/{decision_id}"))

    async def replay(self, decision_id: str) -> dict[str, Any]:
        return self._read(await self.client.post(f"/v1/decisions/{decision_id}/replay"))

    @staticmethod
    def _read(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@dataclass(frozen=True)
class Installation:
    """A home of its own, the environment of its processes, and a mailbox."""

    home: Path
    environment: dict[str, str]
    mailbox: DebugSmtp

    async def start(self, *arguments: str, stderr: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "keepwell"), *arguments,
            env=self.environment, cwd=self.home.parent,
            stdout=asyncio.subprocess.PIPE, stderr=stderr,
        )  # fmt: skip

    async def run(self, *arguments: str) -> Any:
        process = await self.start(*arguments, stderr=asyncio.subprocess.PIPE)
        out, told = await process.communicate()
        assert process.returncode == 0, told.decode()
        return json.loads(out)

    def processes(self) -> list[str]:
        """Command lines of the processes that work on this home."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                environment = (folder / "environ").read_bytes()
                place = str((folder / "cwd").readlink())
            except OSError:
                continue
            named = f"KEEPWELL_HOME={self.home}".encode() in environment.split(b"\0")
            if int(folder.name) != os.getpid() and (
                named or str(self.home) in line or place.startswith(str(self.home))
            ):
                found.append(line)
        return found


@pytest.fixture
async def installation() -> AsyncIterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="kw-path-") as folder:
        os.chmod(folder, 0o711)  # the embedded server's account has to pass through  # noqa: PTH101
        home = Path(folder) / "home"
        async with DebugSmtp() as mailbox:
            environment = {
                name: value for name, value in os.environ.items() if "KEEPWELL_" not in name
            } | {"KEEPWELL_HOME": str(home), "KEEPWELL_SMTP_URL": mailbox.url, "COLUMNS": "200"}
            yield Installation(home, environment, mailbox)


async def eventually(ask: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """What `ask` answers once the answer is true; what else happens runs in other processes."""
    end = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < end, "it did not come about in time"
        await asyncio.sleep(0.05)
    return answer


@asynccontextmanager
async def serving(installation: Installation) -> AsyncIterator[str]:
    """`keepwell serve` on a free port; ended as an operator ends it, and it must end well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    process = await installation.start(
        "serve", "--clock", CLOCK, "--port", port, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    # read on, so that the log never fills the pipe
    reading = asyncio.create_task(process.stdout.read())
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        if process.returncode is not None:
            raise AssertionError((await reading).decode())
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{url}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    try:
        await eventually(ready, 30.0)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        log = (await reading).decode()
        await process.wait()
    assert process.returncode == 0, log
    assert "Traceback" not in log, log


async def test_from_a_file_to_one_message_to_what_was_learnt_of_its_answer(installation):
    folder = installation.home.parent
    (folder / "visits.csv").write_text("\n".join(ROWS) + "\n")
    (folder / "visits.yaml").write_text(MAPPING)
    async with serving(installation) as url:
        # both commands join the servers that are running
        imported = await installation.run(
            "import", "visits.csv", "--mapping", "visits.yaml", "--tenant", "oak", "--json"
        )
        assert imported["counts"]["contact"]["inserted"] == len(PATIENTS)
        assert imported["rows_rejected"] == 0
        issued = await installation.run(
            "keys", "create", "--tenant", "oak", "--name", "crm", "--scope", "admin", "--json"
        )
        headers = {"Authorization": f"Bearer {issued['key']}"}
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            api = Api(client)
            other, decided = await decided_and_delivered(api, installation.mailbox)
            await answered_and_learnt(api, decided, other)
            assert len(installation.mailbox.messages) == 1
    assert installation.processes() == []


async def decided_and_delivered(api: Api, mailbox: DebugSmtp) -> tuple[str, dict[str, Any]]:
    """One patient's delivered decision, and another patient who is still to be decided."""
    # one in twenty is in the holdout: the first two who are not
    wishes = {p: await api.decide(p, dry_run=True, as_of=DAY_BEFORE) for p in PATIENTS}
    patient, other, *_ = [name for name, wish in wishes.items() if wish["action"]]

    decided = await api.decide(patient, as_of=DAY_BEFORE)
    again = await api.decide(patient, as_of=DAY_BEFORE)
    assert (decided["action"], decided["channel"]) == ("no-show-rescue", "email")
    assert (decided["send"]["status"], again["send"]["status"]) == ("promised", "duplicate")
    assert decided["id"] == again["id"]

    async def delivered() -> bool:
        return (await api.show(decided["id"]))["send"]["state"] == "sent"

    await eventually(delivered)
    (letter,) = mailbox.messages
    assert letter.recipients == (f"{patient}@patients.example",)
    assert decided["id"] in letter.message_id
    assert decided["content"]["subject"] == str(letter.letter["Subject"])
    return other, decided


async def answered_and_learnt(api: Api, decided: dict[str, Any], other: str) -> None:
    """The patient opens and books; the arms and the next patient's effect move, once."""
    contact, sent_at = decided["contact_id"], (await api.show(decided["id"]))["send"]["sent_at"]
    at = (datetime.fromisoformat(sent_at) + timedelta(seconds=3)).isoformat()
    # at the very moment of sending no person opens anything
    receipt = await api.report("m-1", "message.opened", contact, sent_at)
    assert receipt["outcome"] == "opened_by_machine"

    async def version() -> int:
        wish = await api.decide(other, dry_run=True)
        return int(wish["versions"]["policy_state_version"])

    async def effect() -> float:
        return float((await api.decide(other, dry_run=True))["candidates"][0]["propensity"])

    before, expected = await version(), await effect()
    for event, kind, outcome, reward in (
        ("o-1", "message.opened", "opened", 0.05),
        ("b-1", "appointment.booked", "goal", 1.0),
    ):
        receipt = await api.report(event, kind, contact, at)
        assert (receipt["status"], receipt["outcome"], receipt["reward"]) == (
            "recorded", outcome, reward,
        )  # fmt: skip
        assert receipt["decision_id"] == decided["id"]

        async def learnt(known: int = before) -> bool:
            return await version() > known

        await eventually(learnt)
        before = await version()
    assert await effect() > expected

    repeated = await api.report("b-1", "appointment.booked", contact, at)
    assert (repeated["status"], repeated["outcome"]) == ("duplicate", None)
    assert await version() == before

    told = await api.show(decided["id"])
    assert [(each["kind"], each["event"]) for each in told["outcomes"]] == [
        ("opened_by_machine", "m-1"), ("goal", "b-1"), ("opened", "o-1"),
    ]  # fmt: skip
    replayed = await api.replay(decided["id"])
    assert (replayed["verdict"], replayed["differences"]) == ("identical", [])
