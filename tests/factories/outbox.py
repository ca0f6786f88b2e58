"""Sends in the outbox, each of its own contact and decision unless told otherwise."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.chance import contact_keys, salt, uniform
from engine.ids import ContactId, DecisionId, SendId, TenantId
from engine.policy.groups import HOLDOUT_SALT
from services.deliver import Channels
from services.deliver_outcome import Terms
from services.playbook import shipped_policy
from store.consents import Consent, add_consent
from store.database import Database
from store.leases import get_moment
from store.sends import NewSend, Send, add_sends, get_send, list_sends

# a Tuesday, noon in New York: inside every legal window
WORKING_HOURS = datetime(2026, 3, 3, 17, 0, tzinfo=UTC)
SUNDAY_NIGHT = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)
QUICK = Terms(first_retry_seconds=0.0, longest_retry_seconds=0.0)


_STARTED = datetime.now(UTC)


def database_at(url: str, moment: datetime) -> Database:
    """A pool whose clock showed `moment` when the tests began: equal for all pools."""
    return Database(url, clock_offset=offset_to(moment))


def offset_to(moment: datetime) -> timedelta:
    """How far such a clock is from the system's."""
    return moment - _STARTED


@dataclass(frozen=True)
class Outbox:
    """One tenant's outbox under test."""

    database: Database
    tenant_id: TenantId

    async def add_contact(self, *, consent: str | None = "granted", **columns: Any) -> ContactId:
        """A contact in New York with address and, unless None, consent for all e-mail and SMS."""
        contact_id = self._new_id()
        row = {
            "id": contact_id,
            "tenant_id": self.tenant_id,
            "first_name": "Ada",
            "email": f"ada.{contact_id.hex[:8]}@example.com",
            "mobile_phone": "+15550123456",
            "timezone": "America/New_York",
        } | columns
        async with self.database.transaction(self.tenant_id) as connection:
            await connection.execute(
                text(
                    f"INSERT INTO crm_contacts ({', '.join(row)}) "
                    f"VALUES ({', '.join(':' + name for name in row)})"
                ),
                row,
            )
            if consent is not None:
                for purpose in ("treatment", "service", "marketing"):
                    for channel in ("email", "sms", "call_task"):
                        await self.consent(connection, contact_id, channel, purpose, consent)
        return contact_id

    def _new_id(self) -> ContactId:
        """A fresh id outside the tenant's holdout."""
        while True:
            found = uuid4()
            drawn = uniform(contact_keys([found]), salt(HOLDOUT_SALT, str(self.tenant_id)))
            if drawn[0] >= shipped_policy().holdout_share:
                return ContactId(found)

    async def consent(
        self,
        connection: AsyncConnection,
        contact_id: ContactId,
        channel: str,
        purpose: str,
        status: str,
    ) -> None:
        await add_consent(
            connection,
            self.tenant_id,
            Consent(
                contact_id=contact_id,
                channel=channel,
                purpose=purpose,
                status=status,
                basis="test",
                source="test",
                evidence={},
            ),
        )

    async def add_send(self, *, contact_id: ContactId | None = None, **changes: Any) -> SendId:
        """A service e-mail that is due."""
        contact_id = contact_id or await self.add_contact()
        async with self.database.transaction(self.tenant_id) as connection:
            now = await get_moment(connection)
            address = await connection.scalar(
                text("SELECT email FROM crm_contacts WHERE id = :id"), {"id": contact_id}
            )
            decision_id = await self._add_decision(connection, contact_id, now)
            send = NewSend(
                id=SendId(uuid4()),
                decision_id=decision_id,
                contact_id=contact_id,
                dedupe_key=str(decision_id),
                action="recall",
                purpose="service",
                channel="email",
                recipient=address or "",
                content={
                    "subject": "Time for a check-up",
                    "text": "Hello Ada, it is time.",
                    "html": "<p>Hello Ada, it is time.</p>",
                    "headers": {"List-Unsubscribe": "<https://example.com/u/1>"},
                    "sender": {"name": "Practice", "email": "hello@practice.example"},
                },
                content_source="template",
                next_at=now - timedelta(seconds=1),
                not_after=now + timedelta(days=2),
                decided_at=now - timedelta(seconds=1),
            )
            send = replace(send, **changes)
            await add_sends(connection, self.tenant_id, [send])
        return send.id

    async def _add_decision(
        self, connection: AsyncConnection, contact_id: ContactId, now: datetime
    ) -> DecisionId:
        decision_id = DecisionId(uuid4())
        await connection.execute(
            text(
                "INSERT INTO keepwell.decisions (tenant_id, id, contact_id, as_of, trigger, "
                "reason, score_cents, experiment_group, seed, profile, profile_digest, "
                "rule_set_digest, policy_state_version, policy_data_digest, libraries, "
                "decision_digest) VALUES (:tenant_id, :id, :contact_id, :now, 'test', "
                "'highest_value', 1, 'engine', 1, '{}', '', '', 0, '', '', '')"
            ),
            {"tenant_id": self.tenant_id, "id": decision_id, "contact_id": contact_id, "now": now},
        )
        return decision_id

    async def get(self, send_id: SendId) -> Send:
        async with self.database.transaction(self.tenant_id) as connection:
            return await get_send(connection, self.tenant_id, send_id)

    async def all(self) -> list[Send]:
        async with self.database.transaction(self.tenant_id) as connection:
            return await list_sends(connection, self.tenant_id, limit=1000)

    async def execute(self, statement: str, **values: Any) -> None:
        async with self.database.transaction(self.tenant_id) as connection:
            await connection.execute(text(statement), values)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        async with self.database.transaction(self.tenant_id) as connection:
            result = await connection.execute(text(statement), values)
            return [dict(row) for row in result.mappings()]

    async def set_settings(self, **settings: Any) -> None:
        await self.execute(
            "INSERT INTO keepwell.tenant_settings (tenant_id, settings) "
            "VALUES (:id, cast(:settings AS jsonb)) "
            "ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings",
            id=self.tenant_id,
            settings=orjson.dumps(settings).decode(),
        )

    async def make_due(self, send_id: UUID) -> None:
        """As if the wait were over and every lease had run out."""
        await self.execute(
            "UPDATE keepwell.sends SET next_at = keepwell.clock() - interval '1 s', "
            "lease_until = lease_until - interval '1 hour' WHERE id = :id",
            id=send_id,
        )


def email_only(sender: Any, terms: Terms | None = None) -> Channels:
    """Channels with e-mail alone."""
    return Channels({"email": sender}, terms or Terms())
