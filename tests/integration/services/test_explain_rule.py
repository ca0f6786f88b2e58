"""Why a rule does or doesn't propose for a contact, with what decided and what the policy says."""

from datetime import timedelta

import orjson
import pytest

from engine.errors import ContactNotFound, InvalidInput, InvalidRules
from services.explain_rule import explain_rule
from services.rule_texts import RuleTexts
from services.rules_in_force import RuleNotFound
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file
from tests.factories.rule_tools import erase, publish

pytestmark = pytest.mark.integration

RULE = "own.missed"
PLAIN = rules_file("own", rule_text(RULE))
BLOCKED = rules_file(
    "own",
    rule_text(RULE).replace(
        "    then:",
        "    unless:\n"
        "      - field: contact.age\n        less_than: 18\n        because: parents decide\n"
        "    then:",
    ),
)
PER_PLAN = rules_file(
    "own",
    rule_text(RULE)
    .replace("    when:\n", "    for_each: plan\n    when:\n")
    .replace("count: appointment.no_show", "none: plan.scheduled")
    .replace("        at_least: 1\n", "")
    .split("    tests:")[0],
)


async def explain(
    practice: Practice, contact: object, rule: str = RULE, **options: object
) -> dict[str, object]:
    async with practice.transaction() as connection:
        return await explain_rule(
            connection, practice.runtime, practice.tenant_id, rule, str(contact), **options
        )


def only(document, label=None):
    (subject,) = document["subjects"]
    return next(c for c in subject["conditions"] if label in {None, c["label"]})


async def test_a_condition_is_told_with_its_value_threshold_and_the_events_counted(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_missed()
    await practice.add_event(contact, "appointment.kept", MORNING - timedelta(days=9))
    await practice.add_event(contact, "appointment.no_show", MORNING - timedelta(days=31))
    told = await explain(practice, contact)
    assert told["proposes"] is True
    assert (told["rule"]["status"], told["rule"]["source"]) == ("live", "release 1")
    condition = only(told)
    assert (condition["held"], condition["in_the_way"]) == (True, False)
    assert condition["words"] == "missed appointment in the last 30 days: at least 1"
    (value,) = condition["values"]
    assert (value["value"], value["threshold"], value["held"]) == (1, 1, True)
    # the one of 31 days ago is too old to be counted, a kept one is none
    assert condition["events_counted"] == 1
    (event,) = condition["events"]
    assert event["at"] == "2026-03-06T08:00:00-05:00"
    assert (event["type"], event["label"]) == ("appointment.no_show", "missed appointment")


async def test_the_condition_in_the_way_is_marked(practice):
    await publish(practice, PLAIN)
    told = await explain(practice, await practice.add_contact())
    assert told["proposes"] is False
    condition = only(told)
    assert (condition["held"], condition["in_the_way"]) == (False, True)
    assert condition["values"][0]["value"] == 0
    assert condition["events"] == []
    assert told["decision"]["candidates_of_this_rule"] == []


async def test_a_reason_to_stay_silent_is_told_with_its_because(practice):
    await publish(practice, BLOCKED)
    child = await practice.add_missed(custom_fields='{"age": 12}')
    told = await explain(practice, child)
    assert told["proposes"] is False
    unless = only(told, "unless contact.age")
    assert (unless["held"], unless["in_the_way"], unless["because"]) == (
        True, True, "parents decide",
    )  # fmt: skip
    assert unless["values"][0]["value_words"] == "12 years"


@pytest.mark.parametrize("junk", ["NaN", '"NaN"', '"twelve"', "null", "[12]", '{"a": 12}', "1e999"])
async def test_a_value_that_is_no_number_is_not_known_and_silences_nothing(practice, junk):
    await publish(practice, BLOCKED)
    contact = await practice.add_missed()
    if junk in {"NaN", "1e999"}:
        junk = f'"{junk}"'  # JSON has no such number; a CRM that writes it writes a text
    await practice.execute(
        "UPDATE crm_contacts SET custom_fields = CAST(:f AS jsonb) WHERE id = :c",
        f=f'{{"age": {junk}}}', c=contact,
    )  # fmt: skip
    told = await explain(practice, contact)
    assert told["proposes"] is True
    value = only(told, "unless contact.age")["values"][0]
    assert (value["value"], value["value_words"], value["held"]) == (None, "not known", False)
    assert b"NaN" not in orjson.dumps(told)


async def test_only_what_was_known_at_the_moment_counts(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_contact()
    day = timedelta(days=1)
    await practice.add_event(
        contact, "appointment.no_show", MORNING - 6 * day, known_at=MORNING - 2 * day
    )
    before = await explain(practice, contact, as_of=MORNING - 3 * day)
    after = await explain(practice, contact, as_of=MORNING - day)
    assert (before["proposes"], after["proposes"]) == (False, True)


async def test_a_rule_that_rests_is_explained_as_if_it_acted_and_keeps_its_status(practice):
    await publish(practice, rules_file("own", rule_text(RULE, status="draft"), rule_text("own.b")))
    told = await explain(practice, await practice.add_missed())
    assert (told["proposes"], told["rule"]["status"]) == (True, "draft")
    assert told["policy"]["allowed"] is True
    # a rule that is not live decides nothing
    assert told["decision"]["rule"] == "own.b"
    (mine,) = told["decision"]["candidates_of_this_rule"]
    assert mine["reason"] == "shadow_rule"


async def test_a_file_that_is_tried_stands_in_place_of_the_one_in_force(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_missed()
    stricter = RuleTexts(
        "own", PLAIN.document.replace("at_least: 1", "at_least: 2", 1), PLAIN.vocabulary
    )
    tried = await explain(practice, contact, file=stricter)
    assert (tried["proposes"], tried["rule"]["source"]) == (False, "own")
    assert (await explain(practice, contact))["proposes"] is True
    with pytest.raises(InvalidRules):
        await explain(practice, contact, file=RuleTexts("own", "nonsense", PLAIN.vocabulary))


async def test_the_policy_tells_what_keeps_the_message_back(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_missed()
    free = (await explain(practice, contact))["policy"]
    assert (free["allowed"], free["channel"], free["last_contact_days"]) == (True, "email", None)
    assert free["channels"] == [{"channel": "email", "allowed": True, "reason": None}]

    await practice.consent(contact, "email", "treatment", "revoked", MORNING - timedelta(days=1))
    revoked = (await explain(practice, contact))["policy"]
    assert (revoked["allowed"], revoked["removed_by"]) == (False, "consent")
    assert revoked["channels"][0]["allowed"] is False


async def test_the_policy_tells_how_long_ago_the_rule_contacted_and_how_full_the_caps_are(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_missed()
    decided = await practice.decide(contact)
    later = practice.at(MORNING + timedelta(days=2))
    await practice.mark_sent(decided, MORNING + timedelta(hours=2))
    policy = (await explain(later, contact))["policy"]
    await later.database.close()
    assert policy["allowed"] is False
    assert policy["last_contact_days"] == pytest.approx(46 / 24, abs=0.01)
    assert policy["cooldown_days"] == 30
    assert {cap["window_days"]: cap["sent"] for cap in policy["caps"]}[7] == 1


async def test_a_contact_of_the_holdout_is_never_contacted(practice):
    await publish(practice, PLAIN)
    policy = (await explain(practice, await practice.add_missed(held=True)))["policy"]
    assert (policy["holdout"], policy["allowed"]) == (True, False)


async def test_each_open_subject_is_told_by_itself(practice):
    await publish(practice, PER_PLAN)
    contact = await practice.add_contact()
    for number in (1, 2):
        await practice.add_event(
            contact, "plan.presented", MORNING - timedelta(days=20), subject=f"plan:{number}"
        )
    await practice.add_event(
        contact, "plan.scheduled", MORNING - timedelta(days=3), subject="plan:2"
    )
    # about a plan that is closed: nobody else's evidence
    await practice.add_event(
        contact, "plan.scheduled", MORNING - timedelta(days=2), subject="plan:3"
    )
    told = await explain(practice, contact)
    assert {s["subject"]: s["proposes"] for s in told["subjects"]} == {
        "plan:1": True,
        "plan:2": False,
    }
    quiet = next(s for s in told["subjects"] if s["subject"] == "plan:2")
    assert quiet["conditions"][0]["events_counted"] == 1
    nobody = await explain(practice, await practice.add_contact())
    assert (nobody["subjects"], nobody["proposes"]) == ([], False)


async def test_looking_stores_nothing(practice):
    await publish(practice, PLAIN)
    await explain(practice, await practice.add_missed())
    assert await practice.count("keepwell.decisions") == 0
    assert await practice.count("keepwell.sends") == 0


async def test_what_is_not_there_is_refused(practice, other_practice):
    await publish(practice, PLAIN)
    contact = await practice.add_missed()
    with pytest.raises(RuleNotFound) as refused:
        await explain(practice, contact, rule="own.mised")
    assert "own.missed" in refused.value.hint
    with pytest.raises(ContactNotFound):
        await explain(practice, await other_practice.add_contact())
    with pytest.raises(InvalidInput):
        await explain(practice, contact, as_of=MORNING + timedelta(days=1))
    await erase(practice, contact)
    with pytest.raises(ContactNotFound):
        await explain(practice, contact)
