"""All rules for one contact, the nearest first, and the least change that makes each propose."""

from datetime import datetime, timedelta

import pytest

from engine.errors import ContactNotFound, InvalidInput
from services.explain_rule import explain_rule
from services.why_not import why_not
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file
from tests.factories.rule_tools import erase, publish

pytestmark = pytest.mark.integration


def rule(name: str, when: str, **changes: object) -> str:
    """A rule with conditions of its own and no tests."""
    text = rule_text(name, **changes).split("    tests:")[0]
    head, tail = text.split("    when:\n")[0], text.split("    then:\n")[1]
    lines = "".join(f"      {line}\n" for line in when.splitlines())
    return f"{head}    when:\n{lines}    then:\n{tail}"


ONE = rule("own.one", "- {count: appointment.no_show, in_last: 30 days, at_least: 1}")
THREE = rule("own.three", "- {count: appointment.no_show, in_last: 30 days, at_least: 3}")
BOTH = rule(
    "own.both",
    "- {count: appointment.no_show, in_last: 30 days, at_least: 4}\n"
    "- {field: contact.insurance_status, is: lapsed}",
)
SILENT = rule("own.silent", "- {last: appointment.no_show, at_least_ago: 10 days}")
PLAN = rule("own.plan", "- {none: plan.scheduled, in_last: 30 days}").replace(
    "    when:\n", "    for_each: plan\n    when:\n"
)
ALL = rules_file("own", ONE, THREE, BOTH, SILENT, PLAN)


async def ask(practice: Practice, contact: object, **options: object) -> dict[str, dict]:
    async with practice.transaction() as connection:
        return await why_not(
            connection, practice.runtime, practice.tenant_id, str(contact), **options
        )


async def by_rule(practice: Practice, contact: object, **options: object) -> dict[str, dict]:
    return {each["rule"]: each for each in (await ask(practice, contact, **options))["rules"]}


async def test_rules_stand_in_the_order_of_how_little_is_missing(practice):
    await publish(practice, ALL)
    found = await ask(practice, await practice.add_missed())
    names = [each["rule"] for each in found["rules"]]
    # proposes; comes by itself; needs events; needs two things; needs a plan that is not there
    assert names == ["own.one", "own.silent", "own.three", "own.both", "own.plan"]
    assert found["source"] == "release 1"
    assert found["decision"]["rule"] == "own.one"


async def test_the_least_change_is_told_and_makes_the_rule_propose(practice):
    await publish(practice, ALL)
    contact = await practice.add_missed()
    told = await by_rule(practice, contact)
    assert told["own.three"]["changes"] == ["2 more missed appointment in 30 days"]
    assert told["own.three"]["missing"] == ["missed appointment in the last 30 days: at least 3"]
    assert told["own.both"]["changes"] == [
        "3 more missed appointment in 30 days",
        "state of the insurance on file: lapsed (now not known)",
    ]
    # what it says is true: after two more missed appointments, and not after one, it proposes
    await practice.add_no_show(contact, days=3)
    assert (await by_rule(practice, contact))["own.three"]["proposes"] is False
    await practice.add_no_show(contact, days=2)
    assert (await by_rule(practice, contact))["own.three"]["proposes"] is True


async def test_when_time_alone_will_do_the_moment_is_told_and_true(practice):
    await publish(practice, ALL)
    contact = await practice.add_missed()
    told = (await by_rule(practice, contact))["own.silent"]
    assert told["changes"] == ["6 more days since last missed appointment"]
    # the night to 8 March is an hour shorter; ten calendar days later is the same wall clock
    assert told["proposes_from"] == "2026-03-16T12:00:00+00:00"
    begins = datetime.fromisoformat(told["proposes_from"])
    for moment, proposes in ((begins - timedelta(microseconds=1), False), (begins, True)):
        later = practice.at(moment + timedelta(minutes=1))
        async with later.transaction() as connection:
            found = await explain_rule(
                connection,
                later.runtime,
                later.tenant_id,
                "own.silent",
                str(contact),
                as_of=moment,
            )
        await later.database.close()
        assert found["proposes"] is proposes


async def test_a_rule_that_proposes_names_what_stops_it(practice):
    await publish(practice, ALL)
    contact = await practice.add_missed()
    await practice.consent(contact, "email", "treatment", "revoked", MORNING - timedelta(days=1))
    told = (await by_rule(practice, contact))["own.one"]
    assert (told["proposes"], told["stopped_by"], told["reason"]) == (
        True, "consent", "consent_revoked",
    )  # fmt: skip
    assert (told["changes"], told["distance"]) == ([], 0.0)


async def test_a_rule_about_a_thing_that_is_not_there_says_so(practice):
    await publish(practice, ALL)
    told = (await by_rule(practice, await practice.add_missed()))["own.plan"]
    assert (told["missing"], told["changes"]) == (["an open treatment plan"], None)


async def test_of_several_subjects_the_nearest_is_told(practice):
    await publish(practice, ALL)
    contact = await practice.add_contact()
    for number, booked in ((1, True), (2, False)):
        subject = f"plan:{number}"
        await practice.add_event(
            contact, "plan.presented", MORNING - timedelta(days=20), subject=subject
        )
        if booked:
            await practice.add_event(
                contact, "plan.scheduled", MORNING - timedelta(days=2), subject=subject
            )
    told = (await by_rule(practice, contact))["own.plan"]
    assert (told["subject"], told["proposes"]) == ("plan:2", True)


async def test_a_rule_that_no_value_can_make_propose_tells_no_change(practice):
    never = rule(
        "own.never",
        "- {count: appointment.no_show, in_last: 30 days, at_least: 3}\n"
        "- {count: appointment.no_show, in_last: 30 days, at_most: 1}",
    )
    told = (await by_rule(practice, await practice.add_missed(), file=rules_file("own", never)))[
        "own.never"
    ]
    assert (told["changes"], told["proposes"], told["proposes_from"]) == (None, False, None)
    assert told["missing"] == ["missed appointment in the last 30 days: at least 3"]


async def test_rules_that_rest_are_left_out_and_looking_stores_nothing(practice):
    await publish(practice, rules_file("own", ONE, rule_text("own.rests", status="retired")))
    contact = await practice.add_missed()
    assert list(await by_rule(practice, contact)) == ["own.one"]
    assert await practice.count("keepwell.decisions") == 0


async def test_only_what_was_known_at_the_moment_counts(practice):
    await publish(practice, ALL)
    contact = await practice.add_missed()
    past = await by_rule(practice, contact, as_of=MORNING - timedelta(days=5))
    assert past["own.one"]["proposes"] is False
    assert past["own.one"]["changes"] == ["1 more missed appointment in 30 days"]


async def test_whom_nobody_knows_is_refused(practice, other_practice):
    await publish(practice, ALL)
    contact = await practice.add_missed()
    with pytest.raises(ContactNotFound):
        await ask(practice, await other_practice.add_contact())
    with pytest.raises(InvalidInput):
        await ask(practice, contact, as_of=MORNING + timedelta(days=1))
    await erase(practice, contact)
    with pytest.raises(ContactNotFound):
        await ask(practice, contact)
