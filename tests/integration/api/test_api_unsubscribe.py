from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from engine.ids import ContactId
from services.unsubscribe import PURPOSES, make_token
from store.consents import list_consents_held
from store.sends import list_sends
from tests.integration.api.conftest import queue_message

pytestmark = pytest.mark.integration

FORM = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def link(runtime, tenant, contact) -> str:
    secret = runtime.settings.secret.get_secret_value()
    return "/v1/unsubscribe/" + make_token(secret, tenant, ContactId(contact.id), "email")


@pytest.fixture
async def queued(database, tenant, contact) -> None:
    """One e-mail and one SMS wait for this contact."""
    for channel in ("email", "sms"):
        await queue_message(database, tenant, contact, channel)


async def state(database, tenant, contact):
    """Return (consent by purpose on e-mail, state and reason of each send by channel)."""
    async with database.transaction(tenant) as connection:
        held = await list_consents_held(
            connection, tenant, [ContactId(contact.id)], now=datetime.now(UTC)
        )
        sends = await list_sends(connection, tenant)
    consents = {
        purpose: status
        for (channel, purpose), status in held.get(ContactId(contact.id), {}).items()
        if channel == "email"
    }
    return consents, {send.channel: (send.state, send.reason) for send in sends}


async def test_following_the_link_changes_nothing(client, database, tenant, contact, link, queued):
    answer = await client.get(link)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert '<form method="post">' in answer.text
    assert await state(database, tenant, contact) == (
        {},
        {"email": ("pending", None), "sms": ("pending", None)},
    )


async def test_one_click_revokes_the_channel_and_cancels_what_is_queued_on_it(
    client, database, tenant, contact, link, queued
):
    answer = await client.post(link, data=FORM)
    assert answer.status_code == 200
    assert await state(database, tenant, contact) == (
        dict.fromkeys(PURPOSES, "revoked"),
        {"email": ("suppressed", "consent_revoked"), "sms": ("pending", None)},
    )


async def test_clicking_again_adds_nothing_to_the_ledger(client, database, tenant, contact, link):
    for _ in range(2):
        assert (await client.post(link, data=FORM)).status_code == 200
    async with database.transaction(tenant) as connection:
        rows = await connection.scalar(text("SELECT count(*) FROM keepwell.consents"))
    assert rows == len(PURPOSES)


async def test_a_damaged_link_is_not_found_and_changes_nothing(client, database, tenant, link):
    for method in ("GET", "POST"):
        answer = await client.request(method, link[:-8])
        assert (answer.status_code, answer.json()["code"]) == (404, "unsubscribe_link_not_found")


async def test_the_page_loads_nothing_from_elsewhere(client, link):
    answer = await client.get(link)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text
    assert "<script" not in answer.text
