"""What the night does about health: once per tenant and day, and it tells people of drift."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.health_tonight import drift_tonight, retrain_tonight, score_tonight, texts_tonight
from services.wiring import Runtime
from store.notifications import notify_people
from tests.factories.practice import Practice

pytestmark = pytest.mark.integration

MONDAY = datetime(2026, 3, 9, 4, tzinfo=UTC)


@pytest.fixture
async def night(practice: Practice):
    """The practice on a Monday at four in the morning, with a contact who wrote."""
    contact = await practice.add_missed()
    await practice.execute(
        "INSERT INTO crm_activities (id, tenant_id, contact_id, activity_type, direction, "
        "description, created_at) VALUES (:id, :t, :c, 'email', 'inbound', 'Great work!', :at)",
        id=uuid4(), t=practice.tenant_id, c=contact, at=datetime(2026, 3, 1),  # noqa: DTZ001
    )  # fmt: skip
    opened = practice.at(MONDAY)
    yield opened
    await opened.database.close()


async def runs(practice: Practice, kind: str) -> int:
    found = await practice.rows("SELECT id FROM keepwell.runs WHERE kind = :kind", kind=kind)
    return len(found)


async def work(runtime: Runtime, practice: Practice) -> None:
    for job in (texts_tonight, retrain_tonight, score_tonight, drift_tonight):
        await job(runtime, practice.tenant_id)


async def test_a_night_rates_scores_and_looks_once_however_often_it_is_asked(
    night: Practice,
) -> None:
    for _ in range(2):
        await work(night.runtime, night)
    assert await night.count("customer_health_scores") == 1
    assert await night.count("keepwell.activity_sentiment") == 1
    assert [await runs(night, kind) for kind in ("score tonight", "retrain", "drift")] == [1, 1, 1]
    (report,) = await night.rows("SELECT * FROM keepwell.drift_reports")
    assert (report["model_digest"], report["alerts"]) == (None, [])
    (scored,) = await night.rows("SELECT * FROM customer_health_scores")
    assert scored["health_tier"] == "scorecard"


async def test_on_other_days_nothing_is_trained_or_looked_at(night: Practice) -> None:
    tuesday = night.at(MONDAY + timedelta(days=1))
    try:
        await work(tuesday.runtime, tuesday)
    finally:
        await tuesday.database.close()
    assert [await runs(night, kind) for kind in ("score tonight", "retrain", "drift")] == [1, 0, 0]


async def test_owners_and_admins_are_told_of_drift_and_nobody_else(night: Practice) -> None:
    people = {"owner": uuid4(), "admin": uuid4(), "member": uuid4()}
    for role, user in people.items():
        night.tamper(
            "INSERT INTO tenant_users (tenant_id, user_id, role) VALUES (%s, %s, %s)",
            night.tenant_id, user, role,
        )  # fmt: skip
    async with night.transaction() as connection:
        assert await notify_people(connection, "The model drifts", "Look at it") == 2
        told = await connection.execute(text("SELECT user_id, message FROM notifications"))
    assert {row.user_id for row in told} == {people["owner"], people["admin"]}
