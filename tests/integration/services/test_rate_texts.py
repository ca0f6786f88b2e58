"""Customers' texts are rated once each, and the rating is a feature."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from content.sentiment import model_name
from services.rate_texts import rate_texts
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration


async def write(
    practice: Practice, contact: UUID, words: str, days: int = 5, direction: str = "inbound"
) -> UUID:
    activity = uuid4()
    at = (MORNING - timedelta(days=days)).astimezone(UTC).replace(tzinfo=None)
    await practice.execute(
        "INSERT INTO crm_activities (id, tenant_id, contact_id, activity_type, direction, "
        "description, created_at) VALUES (:id, :t, :c, 'email', :way, :words, :at)",
        id=activity, t=practice.tenant_id, c=contact, way=direction, words=words, at=at,
    )  # fmt: skip
    return activity


async def rated(practice: Practice, now: datetime | None = None) -> dict:
    return await rate_texts(practice.database, practice.tenant_id, now=now)


async def test_each_text_of_a_customer_is_rated_once(practice: Practice) -> None:
    contact = await practice.add_contact()
    await write(practice, contact, "Great work, thank you!")
    await write(practice, contact, "This is terrible, I want my money back")
    await write(practice, contact, "Tuesday at nine.")
    await write(practice, contact, "We hate to see you go!", direction="outbound")
    first = await rated(practice, MORNING)
    assert first == {
        "rated": 3, "model": model_name(), "texts": 3, "abstained": 1, "positive": 1, "negative": 1,
    }  # fmt: skip
    assert (await rated(practice, MORNING))["rated"] == 0


async def test_a_changed_text_is_rated_anew(practice: Practice) -> None:
    contact = await practice.add_contact()
    activity = await write(practice, contact, "Great work!")
    await rated(practice, MORNING)
    await practice.execute(
        "UPDATE crm_activities SET description = 'Awful work!' WHERE id = :id", id=activity
    )
    assert await rated(practice, MORNING) | {"model": ""} == {
        "rated": 1, "model": "", "texts": 1, "abstained": 0, "positive": 0, "negative": 1,
    }  # fmt: skip


async def test_a_decision_knows_a_rating_once_it_was_made(practice: Practice) -> None:
    contact = await practice.add_contact()
    await write(practice, contact, "Great work, thank you!", days=5)
    await rated(practice, MORNING - timedelta(days=1))
    seen = "SELECT type FROM keepwell.history WHERE known_at <= :at AND type = 'message.rated'"
    assert await practice.rows(seen, at=MORNING - timedelta(days=2)) == []
    assert len(await practice.rows(seen, at=MORNING)) == 1


async def test_a_tenant_sees_its_own_ratings_alone(
    practice: Practice, other_practice: Practice
) -> None:
    await write(practice, await practice.add_contact(), "Great work, thank you!")
    await rated(practice, MORNING)
    assert await other_practice.count("keepwell.activity_sentiment") == 0
    assert await other_practice.count("keepwell.history") == 0
