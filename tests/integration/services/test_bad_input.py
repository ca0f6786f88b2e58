"""What no program should send and no clock should show: a decision with a reason, or none."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from engine.errors import ContactNotFound, InvalidRules
from engine.features.subjects import MOST_SUBJECTS
from gateways.sender import Message, Receipt
from services.audit_policy import audit_policy
from services.deliver import Channels, deliver_due
from services.publish_rules import Publication, publish_rules
from services.release_rules import Signature
from services.rule_texts import RuleTexts
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

OWN = rules_file("own", rule_text("own.missed"))
THANKS = rules_file("thanks", rule_text("own.thanks", days=60))
# edges of daylight saving in New York, St John's, Lord Howe (half an hour) and the day between
EDGES = [datetime(2026, *at, tzinfo=UTC) for at in (
    (3, 8, 5, 29), (3, 8, 6, 59), (3, 8, 7, 0), (4, 4, 14, 59), (4, 4, 15, 0), (10, 3, 15, 29),
    (11, 1, 4, 30), (11, 1, 5, 59), (11, 1, 6, 0), (11, 1, 6, 59),
)]  # fmt: skip
ZONES = ("America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata",
         "Asia/Kathmandu", "Pacific/Chatham", "Mars/Phobos", "../../etc/passwd", "")  # fmt: skip


class Taking:
    """A provider that takes everything."""

    key_lifetime: timedelta | None = timedelta(days=1)

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def send(self, message: Message) -> Receipt:
        self.taken.append(message.recipient)
        return Receipt(provider_id=str(message.send_id))

    async def close(self) -> None:
        """Nothing is open."""


async def delivered(practice: Practice) -> tuple[list[str], Counter[str]]:
    """Whom messages reached over the day, and how the outbox ended."""
    provider = Taking()
    channels = Channels({"email": provider, "sms": provider})
    for hours in range(1, 12):
        then = practice.at(MORNING + timedelta(hours=hours))
        await deliver_due(then.database, channels, practice.tenant_id)
        await then.database.close()
    states = await practice.rows("SELECT state FROM keepwell.sends")
    return provider.taken, Counter(row["state"] for row in states)


def in_the_crm(practice: Practice, statement: str, *values: object) -> None:
    """What the CRM itself does with its rows."""
    with psycopg.connect(practice.superuser) as connection:
        assert connection.execute(statement, values).rowcount > 0


async def missed_by_mail(practice: Practice, **columns: object) -> object:
    return await practice.add_missed(phone=None, mobile_phone=None, **columns)


async def test_a_contact_erased_between_decision_and_delivery_gets_nothing(practice):
    contact = await missed_by_mail(practice)
    decided = await practice.decide(contact, as_of=MORNING)
    assert decided["send"]["status"] == "promised"
    in_the_crm(practice, "DELETE FROM crm_contacts WHERE id = %s", contact)
    assert await delivered(practice) == ([], Counter(suppressed=1))
    with pytest.raises(ContactNotFound):
        await practice.decide(contact, as_of=MORNING)
    # what was decided stays and can be recomputed from what is stored
    replayed = await practice.replay(decided["id"])
    assert {each["where"] for each in replayed["differences"]} == {"sources"}


async def test_of_two_contacts_merged_in_the_middle_one_message_leaves(practice):
    kept = await practice.add_contact(phone=None, mobile_phone=None)
    merged = await missed_by_mail(practice)
    await practice.decide(merged, as_of=MORNING)
    in_the_crm(
        practice, "UPDATE keepwell.events SET contact_id = %s WHERE contact_id = %s", kept, merged
    )
    in_the_crm(practice, "DELETE FROM crm_contacts WHERE id = %s", merged)
    again = await practice.decide(kept, as_of=MORNING + timedelta(minutes=1))
    assert again["send"]["status"] == "promised"
    reached, states = await delivered(practice)
    assert len(reached) == 1
    assert str(kept.hex[:8]) in reached[0]
    assert states == Counter(sent=1, suppressed=1)


async def test_a_contact_of_whom_nothing_is_known_gets_nothing_with_a_reason(practice):
    contact = await practice.add_contact(
        first_name=None, last_name=None, email=None, mobile_phone=None, phone=None, timezone=None,
        created_at=None, consented=False,
    )  # fmt: skip
    await practice.add_no_show(contact)
    decided = await practice.decide(contact, as_of=MORNING)
    assert decided["action"] is None
    assert decided["reason"] == "no_reachable_channel"
    assert (await practice.replay(decided["id"]))["verdict"] == "identical"


async def test_of_thousands_of_plans_the_newest_are_looked_at(practice):
    contact = await practice.add_contact()
    await practice.execute(
        "INSERT INTO keepwell.events (tenant_id, source, external_id, contact_id, type, subject, "
        "occurred_at, known_at, starts_at) SELECT :tenant, 'flood', n::text, :contact, "
        "'plan.presented', 'plan:' || n, at, at, at FROM generate_series(1, 5000) n, "
        "LATERAL (SELECT cast(:now AS timestamptz) - n * interval '1 hour' AS at) moments",
        tenant=practice.tenant_id, contact=contact, now=MORNING,
    )  # fmt: skip
    document = rule_text("own.plan").replace(
        "    when:\n      - count: appointment.no_show\n        in_last: 30 days\n"
        "        at_least: 1\n",
        "    for_each: plan\n    when:\n      - last: plan.presented\n"
        "        at_most_ago: 365 days\n",
    )
    document = document[: document.index("    tests:")]
    await publish(practice, rules_file("own", document))
    alone = await practice.decide(contact, as_of=MORNING, dry_run=True)
    _, (run,), _ = await practice.decide_all(as_of=MORNING)
    subjects = [c["subject"] for c in alone["candidates"] if c["rule"] == "own.plan"]
    assert sorted(subjects) == sorted(f"plan:{n}" for n in range(1, MOST_SUBJECTS + 1))
    assert [c["subject"] for c in run.candidates] == [c["subject"] for c in alone["candidates"]]
    assert (await practice.replay(run.row["id"]))["verdict"] == "identical"


async def publish(practice: Practice, *files: RuleTexts) -> None:
    async with practice.transaction() as connection:
        for file in files:
            await publish_rules(
                connection, practice.tenant_id, Publication((file,)), Signature("ada", None)
            )


async def test_of_two_rule_sets_published_at_the_same_moment_the_later_one_holds(practice):
    await publish(practice, OWN, THANKS)
    practice.tamper(
        "UPDATE keepwell.rule_releases SET made_at = %s WHERE tenant_id = %s",
        MORNING,
        practice.tenant_id,
    )
    decided = await practice.decide(await practice.add_missed())
    proposing = {c["rule"] for c in decided["candidates"] if c["rule"]}
    assert {"own.missed", "own.thanks"} <= proposing
    assert (await practice.replay(decided["id"]))["verdict"] == "identical"


async def test_an_action_without_value_is_refused_with_its_line(practice):
    worthless = rule_text("own.missed").replace("      value: 500.00 USD\n", "")
    with pytest.raises(InvalidRules) as refused:
        await publish(practice, rules_file("own", worthless))
    assert any("value" in finding.message for finding in refused.value.findings)


async def test_no_zone_and_no_change_of_the_clocks_makes_an_illegal_plan(practice):
    late = practice.at(datetime(2026, 11, 3, tzinfo=UTC))
    for zone in ZONES:
        contact = await practice.add_contact(timezone=zone)
        for at in EDGES:
            await practice.add_event(contact, "appointment.no_show", at - timedelta(days=3))
    for at in EDGES:
        await late.decide_all(as_of=at)
    async with late.transaction() as connection:
        audited = await audit_policy(connection, practice.tenant_id)
    await late.database.close()
    assert audited.decisions >= len(EDGES)
    assert [f for f in audited.findings if f.kind == "quiet_hours"] == []
