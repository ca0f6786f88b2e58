"""What happened after the moment asked about changes no feature, whatever table it stands in."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from churn.features import churn_features, learnable
from services.playbook import playbook_at
from services.profiles import all_profiles, one_profile
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration

KINDS = (
    "appointment.kept", "appointment.booked", "appointment.no_show", "appointment.cancelled",
    "invoice.issued", "invoice.paid", "invoice.paid_late", "invoice.disputed", "message.sent",
    "message.replied", "survey.answered", "ticket.opened", "ticket.closed", "complaint.opened",
    "contract.started", "asset.installed",
)  # fmt: skip
CRM_TABLES = ("crm_activities", "crm_deals", "crm_campaign_memberships")


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


async def write_events(practice: Practice, contact: UUID, rng: Random, days: range) -> None:
    for _ in range(25):
        at = MORNING - timedelta(days=rng.choice(days), seconds=rng.randrange(1, 86_000))
        await practice.add_event(
            contact,
            rng.choice(KINDS),
            at,
            amount_cents=rng.randrange(100_000),
            subject=rng.choice((None, "invoice:1", "ticket:1", "message:1")),
            starts_at=at + timedelta(days=rng.randrange(40)),
            value=rng.choice((None, 2.0, 9.0)),
            properties={
                "service": rng.choice("abc"), "staff": rng.choice("xy"), "ends_on": "2027-01-31",
                "warranty_until": "2028-05-05",
            },
        )  # fmt: skip


async def write_crm_rows(
    practice: Practice, contact: UUID, account: UUID, rng: Random, days: range
) -> None:
    for number in range(6):
        at = naive(MORNING - timedelta(days=rng.choice(days), seconds=rng.randrange(1, 86_000)))
        activity, campaign = uuid4(), uuid4()
        row: dict[str, Any] = {"t": practice.tenant_id, "c": contact, "at": at}
        await practice.execute(
            "INSERT INTO crm_activities (id, tenant_id, contact_id, activity_type, direction, "
            "is_completed, created_at, completed_at) "
            "VALUES (:id, :t, :c, :kind, :way, true, :at, :at)",
            **row, id=activity, kind=("email", "call", "meeting")[number % 3],
            way=rng.choice(("inbound", "outbound")),
        )  # fmt: skip
        await practice.execute(
            "INSERT INTO keepwell.activity_sentiment (tenant_id, activity_id, contact_id, model, "
            "score, text_sha256, written_at, known_at) VALUES (:t, :id, :c, 'm', :score, '', "
            "cast(:at AS timestamp) AT TIME ZONE 'UTC', cast(:at AS timestamp) AT TIME ZONE 'UTC')",
            **row, id=activity, score=rng.choice((-0.5, 0.8)),
        )  # fmt: skip
        await practice.execute(
            "INSERT INTO crm_deals (id, tenant_id, contact_id, name, stage, created_at, "
            "actual_close_date) VALUES (:id, :t, :c, 'Deal', :stage, :at, cast(:at AS date) + 1)",
            **row, id=uuid4(), stage=rng.choice(("closed_won", "closed_lost")),
        )  # fmt: skip
        practice.tamper(
            "INSERT INTO crm_campaigns (id, tenant_id, name, campaign_type) "
            "VALUES (%s, %s, 'Spring', 'email')",
            campaign, practice.tenant_id,
        )  # fmt: skip
        await practice.execute(
            "INSERT INTO crm_campaign_memberships (tenant_id, campaign_id, contact_id, joined_at) "
            "VALUES (:t, :id, :c, :at)",
            **row, id=campaign,
        )  # fmt: skip
    await practice.add_contact(account_id=account, created_at=at, consented=False)


async def features(practice: Practice, contact: UUID) -> tuple[pl.DataFrame, dict[str, object]]:
    """The contact's standard features at MORNING: from the batch, and as one contact."""
    async with practice.transaction() as connection:
        playbook = await playbook_at(connection, practice.tenant_id, MORNING)
        names = [spec.name for spec in churn_features(playbook.definition)]
        _, _, tables = await all_profiles(connection, playbook, MORNING)
        profile, _ = await one_profile(connection, playbook, contact, MORNING)
    mine = tables.contacts.filter(pl.col("contact_id") == str(contact)).select(names)
    return mine, {name: profile.row[name] for name in names if name in profile.row}


@pytest.fixture
async def patient(practice: Practice) -> tuple[UUID, UUID]:
    """A contact of a household, with a past in every table that features read."""
    account, rng = uuid4(), Random(7)
    await practice.execute(
        "INSERT INTO crm_accounts (id, tenant_id, name) VALUES (:id, :t, 'Byron')",
        id=account, t=practice.tenant_id,
    )  # fmt: skip
    contact = await practice.add_contact(account_id=account)
    await write_events(practice, contact, rng, range(1, 400))
    await write_crm_rows(practice, contact, account, rng, range(3, 400))
    return contact, account


async def test_whatever_comes_later_changes_no_feature(
    practice: Practice, patient: tuple[UUID, UUID]
) -> None:
    contact, account = patient
    before, alone = await features(practice, contact)
    assert before.select(pl.all().is_null()).row(0).count(False) > 60  # most is known

    for seed in (1, 2):  # two futures that have nothing in common
        rng = Random(seed)
        await write_events(practice, contact, rng, range(-300, -1))
        await write_crm_rows(practice, contact, account, rng, range(-300, -3))
        later, later_alone = await features(practice, contact)
        assert_frame_equal(later, before, check_exact=True)
        assert later_alone == alone
        await practice.execute("DELETE FROM keepwell.events WHERE occurred_at > :m", m=MORNING)
        for table in CRM_TABLES:
            column = "joined_at" if table.endswith("memberships") else "created_at"
            practice.tamper(
                f"DELETE FROM {table} WHERE tenant_id = %s AND {column} > %s",
                practice.tenant_id, naive(MORNING),
            )  # fmt: skip


async def test_what_was_learnt_of_later_was_not_known(
    practice: Practice, patient: tuple[UUID, UUID]
) -> None:
    contact, _ = patient
    before, _ = await features(practice, contact)
    for kind in KINDS:
        await practice.add_event(
            contact, kind, MORNING - timedelta(days=5), known_at=MORNING + timedelta(hours=1)
        )
    later, _ = await features(practice, contact)
    assert_frame_equal(later, before, check_exact=True)


async def test_one_contact_and_the_batch_read_the_same_history(
    practice: Practice, patient: tuple[UUID, UUID]
) -> None:
    batch, alone = await features(practice, patient[0])
    told = {k: v for k, v in batch.to_dicts()[0].items() if v is not None}
    assert told == alone
    for name in ("household_members", "email_in_365d", "deals_won_365d", "campaigns_joined_365d",
                 "sentiment_365d", "services_used_365d", "contract_ends_in_days"):  # fmt: skip
        assert told[name], name


async def test_a_model_may_learn_from_every_feature_but_the_calendar(practice: Practice) -> None:
    async with practice.transaction() as connection:
        playbook = await playbook_at(connection, practice.tenant_id, MORNING)
    specs = churn_features(playbook.definition)
    assert {spec.name for spec in specs} - {spec.name for spec in learnable(specs)} == set()
