"""One contact, several contracts: each is decided, rests, is cancelled and attributed by itself."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from engine.ids import ContactId
from gateways.debug_smtp import DebugSmtp, Received
from services.decide_everybody import decide_everybody
from services.deliver_all import deliver_all_due
from services.explain_rule import explain_rule
from services.rule_texts import pack_texts
from services.rules_in_force import RulesFile, contents, store_release
from services.senders import make_channels
from tests.factories.practice import MORNING, Practice, forget_playbooks
from tests.factories.rule_files import rules_file

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
RULE = "trades.renewals-value"
FAMILY = "healthcare.families-recall"


@pytest.fixture
async def contractor(practice: Practice) -> Practice:
    """With the rules that ask for the renewal of contracts, and nothing else."""
    return await with_rules(practice, "trades/renewals")


async def with_rules(practice: Practice, *packs: str) -> Practice:
    files = [RulesFile(pack_texts(pack), "test") for pack in packs]
    async with practice.transaction() as connection:
        await store_release(connection, practice.tenant_id, contents(files, {}), by="test")
    return practice


async def add_contract(practice: Practice, contact: ContactId, number: int, ends_on: str) -> None:
    """Running since last year, one visit used."""
    about = f"contract:{number}"
    await practice.add_event(
        contact, "contract.started", MORNING - 300 * DAY,
        subject=about, properties={"ends_on": ends_on, "auto_renews": False},
    )  # fmt: skip
    await practice.add_event(contact, "maintenance.visit", MORNING - 100 * DAY, subject=about)


def about(decision: dict[str, Any]) -> dict[str, str | None]:
    """Subject of each candidate of the rule, with the reason that removed it."""
    return {c["subject"]: c["reason"] for c in decision["candidates"] if c["rule"] == RULE}


async def test_each_contract_that_ends_is_a_candidate_and_the_message_says_which_day(contractor):
    contact = await contractor.add_contact()
    await add_contract(contractor, contact, 1, "2026-05-01")
    await add_contract(contractor, contact, 2, "2026-04-20")
    await add_contract(contractor, contact, 3, "2026-12-24")
    decided = await contractor.decide(contact, as_of=MORNING)
    assert about(decided) == {"contract:1": None, "contract:2": "lower_value"}
    assert (decided["rule"], decided["subject"]) == (RULE, "contract:1")
    assert decided["send"]["status"] == "promised"
    assert "until May 1, 2026" in decided["content"]["text"]

    _, (run,), _ = await contractor.decide_all(as_of=MORNING, dry_run=True)
    assert run.row["subject"] == "contract:1"
    shown = [{k: c[k] for k in decided["candidates"][0]} for c in run.candidates]
    assert shown == decided["candidates"]
    assert run.row["profile_digest"] == decided["versions"]["profile_digest"]


async def test_a_decision_about_a_contract_replays_to_the_bit(contractor):
    contact = await contractor.add_contact()
    await add_contract(contractor, contact, 1, "2026-05-01")
    decided = await contractor.decide(contact, as_of=MORNING)
    forget_playbooks()
    replayed = await contractor.replay(decided["id"])
    assert replayed["differences"] == []
    contractor.tamper(
        "UPDATE keepwell.decisions SET subject = 'contract:9' WHERE id = %s", decided["id"]
    )
    fields = {d["field"] for d in (await contractor.replay(decided["id"]))["differences"]}
    assert "subject" in fields


async def test_a_rule_rests_for_the_contract_it_was_about_and_not_for_the_other(contractor):
    contact = await contractor.add_contact()
    await add_contract(contractor, contact, 1, "2026-04-28")
    await add_contract(contractor, contact, 2, "2026-04-30")
    decided = await contractor.decide(contact, as_of=MORNING)
    assert decided["subject"] == "contract:1"
    await contractor.execute(
        "UPDATE keepwell.sends SET state = 'sent', sent_at = :at, decided_at = :at",
        at=MORNING - 9 * DAY,
    )
    later = await contractor.decide(contact, dry_run=True)
    assert about(later) == {"contract:1": "cooldown", "contract:2": None}
    async with contractor.transaction() as connection:
        told = await explain_rule(
            connection, contractor.runtime, contractor.tenant_id, RULE, str(contact), as_of=MORNING
        )
    assert [each["subject"] for each in told["subjects"]] == ["contract:1", "contract:2"]
    assert told["decision"]["rule"] == RULE


@pytest.mark.parametrize(("renewed", "letters"), [("contract:1", 0), ("contract:2", 1), (None, 1)])
async def test_a_message_about_a_contract_is_stopped_by_its_own_renewal_alone(
    contractor, renewed, letters
):
    contact = await contractor.add_contact()
    await add_contract(contractor, contact, 1, "2026-05-01")
    await contractor.decide(contact, as_of=MORNING)
    if renewed is not None:
        await contractor.add_event(
            contact, "contract.renewed", MORNING + timedelta(minutes=1), subject=renewed
        )
    assert len(await delivered(contractor)) == letters


async def test_the_renewal_of_another_contract_is_no_success_of_this_message(contractor):
    contact = await contractor.add_contact()
    await add_contract(contractor, contact, 1, "2026-05-01")
    decided = await contractor.decide(contact, as_of=MORNING)
    await contractor.mark_sent(decided, MORNING - timedelta(minutes=2))
    for subject, outcome in (("contract:2", None), ("contract:1", "goal")):
        receipt = await contractor.report(contact, "contract.renewed", MORNING, subject=subject)
        assert receipt["outcome"] == outcome, subject


async def delivered(practice: Practice) -> list[Received]:
    """What arrives for the practice's contacts until the slots of the next days have come."""
    own = {row["email"] for row in await practice.rows("SELECT email FROM crm_contacts")}
    async with DebugSmtp() as receiver:
        settings = practice.runtime.settings.model_copy(update={"smtp_url": receiver.url})
        for hours in (0, 3, 6, 24, 27, 30, 48):
            later = practice.at(MORNING + timedelta(hours=hours))
            channels = make_channels(settings)
            try:
                await deliver_all_due(later.database, channels)
            finally:
                await channels.close()
                await later.database.close()
        return [letter for letter in receiver.messages if own.intersection(letter.recipients)]


# ------------------------------------------------------------------------------- households


async def add_member(
    practice: Practice, account: UUID, name: str, days: int, **more: Any
) -> ContactId:
    """A member of the household whose last cleaning was so many days ago."""
    contact = await practice.add_contact(first_name=name, account_id=account, **more)
    await practice.add_event(contact, "hygiene.done", MORNING - days * DAY)
    return contact


async def test_a_family_gets_one_message_that_names_who_is_due(practice):
    await practice.set(channels=["email"])
    await with_rules(practice, "healthcare/families", "healthcare/recalls")
    account = uuid4()
    await practice.execute(
        "INSERT INTO crm_accounts (id, tenant_id, name) VALUES (:id, :t, 'Byron')",
        id=account, t=practice.tenant_id,
    )  # fmt: skip
    role = '{"household_role": "%s"}'
    mother = await add_member(practice, account, "Ada", 190, custom_fields=role % "guarantor")
    for name, days in (("Ben", 200), ("Cleo", 170), ("Dan", 20)):
        await add_member(practice, account, name, days, custom_fields=role % "member")
    stranger = await practice.add_contact(first_name="Eve")
    await practice.add_event(stranger, "hygiene.done", MORNING - 20 * DAY)

    decided = await practice.decide(mother, as_of=MORNING)
    assert (decided["rule"], decided["reason"]) == (FAMILY, "highest_value")
    _, recorded, _ = await practice.decide_all(as_of=MORNING)
    rows = {each.row["contact_id"]: each.row for each in recorded}
    assert rows[str(mother)]["profile_digest"] == decided["versions"]["profile_digest"]
    assert [row["action"] for row in rows.values() if row["action"]] == ["family-recall"]

    (letter,) = await delivered(practice)
    assert "you, Ben and Cleo" in letter.text
    assert "Dan" not in letter.text


async def test_the_households_of_a_run_are_whole_in_every_part(practice):
    await with_rules(practice, "healthcare/families")
    for _ in range(5):
        account = uuid4()
        await practice.execute(
            "INSERT INTO crm_accounts (id, tenant_id, name) VALUES (:id, :t, 'Home')",
            id=account, t=practice.tenant_id,
        )  # fmt: skip
        for _ in range(3):
            await add_member(
                practice, account, "Ada", 190, custom_fields='{"household_role": "guarantor"}'
            )
    told: dict[str, Any] = {}
    summary = await decide_everybody(
        practice.runtime, practice.tenant_id,
        lambda part: told.update({r.row["contact_id"]: r.row for r in part.recorded}),
        as_of=MORNING, dry_run=True, size=2,
    )  # fmt: skip
    assert (summary.decisions, len(told)) == (15, 15)
    due = {row["profile"]["row"]["field household.members_due"] for row in told.values()}
    assert due == {3}
    _, together, _ = await practice.decide_all(as_of=MORNING, dry_run=True)
    assert {r.row["contact_id"]: r.row["id"] for r in together} == {
        contact: row["id"] for contact, row in told.items()
    }


KNOWN = """\
  - id: own.known
    title: Everything that is known without a history
    why: It may decide.
    owner: ada
    status: live
    holidays: quiet
    when:
      - {field: account.state, is: TX}
      - {field: tenant.industry, is: healthcare}
      - {field: consent.email.marketing, is: yes}
      - {field: journey.stage, is: onboarding}
      - {field: health.drop_14d, at_least: 1}
    then:
      action: known
      template: healthcare/feedback
      purpose: service
      by: [email]
      value: 80.00 USD
      cost: {email: 0.02}
      expect: {if_contacted: 0.3, if_left: 0.2, weight: 20}
      goal: appointment.booked within 30 days
    cooldown: 60 days
"""


async def test_account_tenant_consent_journey_and_holidays_are_known_to_rules(practice):
    await practice.set(holidays="US")
    async with practice.transaction() as connection:
        file = RulesFile(rules_file("own", KNOWN), "test")
        await store_release(connection, practice.tenant_id, contents([file], {}), by="test")
    account, stage = uuid4(), uuid4()
    contact = await practice.add_contact()
    other = await practice.add_contact(consented=False)
    t = practice.tenant_id
    await practice.execute(
        "INSERT INTO crm_accounts (id, tenant_id, name, state) VALUES (:id, :t, 'B', 'TX')",
        id=account, t=t,
    )  # fmt: skip
    await practice.execute("UPDATE crm_contacts SET account_id = :a", a=account)
    await practice.execute(
        "INSERT INTO customer_journey_stages (id, tenant_id, stage_name, stage_order) "
        "VALUES (:id, :t, 'onboarding', 1)", id=stage, t=t,
    )  # fmt: skip
    for one in (contact, other):
        await practice.add_event(one, "appointment.kept", MORNING - 100 * DAY)
        await practice.execute(
            "INSERT INTO customer_journey_progress (tenant_id, contact_id, journey_stage_id, "
            "entered_stage_date) VALUES (:t, :c, :s, '2025-01-01Z')", t=t, c=one, s=stage,
        )  # fmt: skip
        for days in (15, 66):
            await practice.execute(
                "INSERT INTO customer_health_scores (tenant_id, contact_id, as_of, "
                "overall_health_score) VALUES (:t, :c, :at, 100)",
                t=t, c=one, at=MORNING - days * DAY,
            )  # fmt: skip
    holiday = MORNING.replace(month=1, day=19)  # of Martin Luther King
    for moment, proposed in (
        (MORNING, {str(contact)}), (holiday, set()), (holiday + DAY, {str(contact)})
    ):  # fmt: skip
        alone = {
            str(one)
            for one in (contact, other)
            if (await practice.decide(one, as_of=moment, dry_run=True))["candidates"]
        }
        _, recorded, _ = await practice.decide_all(as_of=moment, dry_run=True)
        together = {each.row["contact_id"] for each in recorded if each.candidates}
        assert (alone, together) == (proposed, proposed), moment
