"""What a rule would have proposed on past nights, each with only what was known then."""

from datetime import UTC, date, datetime, timedelta

import pytest

from engine.errors import InvalidInput
from services.backtest_rule import Period, backtest_rule
from services.live_requirements import NotFitForLive
from services.promote_rule import promote_rule
from services.release_rules import Signature
from services.rule_texts import RuleTexts
from services.rules_in_force import RuleNotFound
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file
from tests.factories.rule_tools import erase, publish

pytestmark = pytest.mark.integration

RULE = "own.missed"
PLAIN = rules_file("own", rule_text(RULE, days=7))
DAY = timedelta(days=1)
# six weeks of nights; the clocks go forward in the last night but one (8 March)
SPAN = Period(date(2026, 1, 26), date(2026, 3, 8))
NOON = datetime(2026, 2, 2, 17, tzinfo=UTC)  # a Monday, noon in New York


async def look_back(
    practice: Practice, period: Period = SPAN, rule: str = RULE, **options: object
) -> dict:
    async with practice.transaction() as connection:
        return await backtest_rule(
            connection, practice.runtime, practice.tenant_id, rule, period, **options
        )


async def test_a_missed_appointment_is_proposed_for_the_night_after_and_for_a_week(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_contact()
    await practice.add_event(contact, "appointment.no_show", NOON)
    told = await look_back(practice)
    assert (told["nights"], told["proposals"], told["contacts"]) == (42, 1, 1)
    (sample,) = told["samples"]
    assert (sample["contact_id"], sample["on"]) == (str(contact), "2026-02-03")
    busy = {w["week"]: w["contacts"] for w in told["contacts_a_week"]["weeks"] if w["contacts"]}
    assert busy == {"2026-02-02": 1}
    assert told["contacts_a_week"]["highest"] == 1
    # seven Mondays begin a week with a night of the period
    assert told["contacts_a_week"]["mean"] == pytest.approx(1 / 6, abs=0.05)


async def test_only_what_was_known_on_a_night_counts_on_it(practice):
    await publish(practice, PLAIN)
    late = await practice.add_contact()
    # told three days later: the nights between knew nothing of it
    await practice.add_event(late, "appointment.no_show", NOON, known_at=NOON + 3 * DAY)
    too_late = await practice.add_contact()
    await practice.add_event(too_late, "appointment.no_show", NOON, known_at=NOON + 8 * DAY)
    told = await look_back(practice)
    assert [(s["contact_id"], s["on"]) for s in told["samples"]] == [(str(late), "2026-02-06")]


async def test_a_contact_that_did_not_exist_yet_is_not_proposed_for(practice):
    await publish(practice, PLAIN)
    contact = await practice.add_contact(created_at=datetime(2026, 2, 6, 12))  # noqa: DTZ001
    await practice.add_event(contact, "appointment.no_show", NOON)
    told = await look_back(practice)
    assert [s["on"] for s in told["samples"]] == ["2026-02-07"]


async def test_the_rules_own_cooldown_is_kept_and_what_it_keeps_back_is_counted(practice):
    calm = rules_file("own", rule_text(RULE, days=7).replace("cooldown: 7", "cooldown: 21"))
    await publish(practice, calm)
    contact = await practice.add_contact()
    for days in (0, 10, 30):
        await practice.add_event(contact, "appointment.no_show", NOON + days * DAY)
    told = await look_back(practice)
    busy = [w["week"] for w in told["contacts_a_week"]["weeks"] if w["contacts"]]
    assert busy == ["2026-02-02", "2026-03-02"]
    assert len(told["samples"]) == 1  # a sample shows different contacts
    assert (told["proposals"], told["contacts"]) == (2, 1)
    assert told["kept_back"]["cooldown"] == 1


async def test_a_contact_without_address_or_consent_is_counted_as_kept_back(practice):
    await publish(practice, PLAIN)
    reachable = await practice.add_contact()
    nowhere = await practice.add_contact(email=None)
    silent = await practice.add_contact(consented=False)
    flagged = await practice.add_contact(do_not_email=True)
    # agreed only after the night in question
    later = await practice.add_contact(consented=False)
    await practice.consent(later, "email", "treatment", at=NOON + 5 * DAY)
    withdrew = await practice.add_contact()
    await practice.consent(withdrew, "email", "treatment", "revoked", at=NOON - DAY)
    for contact in (reachable, nowhere, silent, flagged, later, withdrew):
        await practice.add_event(contact, "appointment.no_show", NOON)
    told = await look_back(practice)
    assert told["proposals"] == 6
    assert told["by_channel"] == {"email": 1}
    assert told["kept_back"] == {"cooldown": 0, "unreachable": 1, "no_consent": 4}


async def test_the_base_rate_counts_who_came_back_anyway_in_time(practice):
    await publish(practice, PLAIN)
    answers = {"in time": 13, "too late": 20, "before": -1, "never": None}
    for days in answers.values():
        contact = await practice.add_contact()
        await practice.add_event(contact, "appointment.no_show", NOON)
        if days is not None:
            await practice.add_event(contact, "appointment.booked", NOON + days * DAY)
    unseen = await practice.add_contact()
    await practice.add_event(unseen, "appointment.no_show", NOON + 30 * DAY)
    told = (await look_back(practice))["by_themselves"]
    # whoever was proposed for on 5 March has not been watched for 14 days
    assert (told["n"], told["reached"], told["share"]) == (4, 1, 0.25)
    assert 0 < told["low"] < 0.25 < told["high"] < 1
    assert (told["goal"], told["within_days"]) == ("appointment.booked", 14)


async def test_the_share_of_proposals_that_another_live_rule_meets_is_told(practice):
    other = rule_text("own.longer", days=30)
    resting = rule_text("own.resting", days=30, status="shadow")
    await publish(practice, rules_file("own", rule_text(RULE, days=7), other, resting))
    for _ in range(2):
        contact = await practice.add_contact()
        await practice.add_event(contact, "appointment.no_show", NOON)
    told = (await look_back(practice))["overlap"]
    assert (told["any"], told["rules"]) == (1.0, [{"rule": "own.longer", "share": 1.0}])


async def test_events_of_somebody_who_was_erased_are_nobodys(practice):
    await publish(practice, PLAIN)
    gone, stays = await practice.add_contact(), await practice.add_contact()
    for contact in (gone, stays):
        await practice.add_event(contact, "appointment.no_show", NOON)
    await erase(practice, gone)
    told = await look_back(practice)
    assert [s["contact_id"] for s in told["samples"]] == [str(stays)]
    assert told["contacts_in_all"] == 1


async def test_another_tenants_contacts_are_not_looked_at(practice, other_practice):
    await publish(practice, PLAIN)
    contact = await other_practice.add_contact()
    await other_practice.add_event(contact, "appointment.no_show", NOON)
    told = await look_back(practice)
    assert (told["proposals"], told["contacts_in_all"]) == (0, 0)
    assert told["by_themselves"]["share"] is None


async def test_a_rule_about_subjects_proposes_once_for_each(practice):
    text = rule_text(RULE, days=7).replace("    when:\n", "    for_each: plan\n    when:\n")
    text = text.replace("count: appointment.no_show", "none: plan.scheduled")
    text = text.replace("        at_least: 1\n", "").split("    tests:")[0]
    await publish(practice, rules_file("own", text.replace("cooldown: 7", "cooldown: 60")))
    contact = await practice.add_contact()
    for number in (1, 2):
        await practice.add_event(contact, "plan.presented", NOON, subject=f"plan:{number}")
    await practice.add_event(contact, "plan.declined", NOON + DAY / 2, subject="plan:2")
    told = await look_back(practice)
    assert [(s["subject"], s["on"]) for s in told["samples"]] == [("plan:1", "2026-02-03")]


async def test_a_rule_that_asks_for_health_is_looked_at_night_by_night(practice):
    text = rule_text(RULE, days=7).split("    tests:")[0]
    asks = "      - field: health.hazard_30d\n        at_least: 0\n    then:\n"
    await publish(practice, rules_file("own", text.replace("    then:\n", asks)))
    contact = await practice.add_contact()
    for days in (60, 90, 120, 150):
        await practice.add_event(contact, "appointment.kept", NOON - days * DAY)
    await practice.add_event(contact, "appointment.no_show", NOON)
    told = await look_back(practice)
    assert [s["on"] for s in told["samples"]] == ["2026-02-03"]
    assert told["share_looked_at"] == 1.0


async def test_a_backtest_is_kept_and_lets_the_rule_go_live(practice):
    shadow = rules_file("own", rule_text(RULE, status="shadow"))
    await publish(practice, shadow)
    contact = await practice.add_missed()

    async def promote():
        async with practice.transaction() as connection:
            return await promote_rule(
                connection, practice.tenant_id, RULE, "live", Signature("ada", "grace")
            )

    with pytest.raises(NotFitForLive) as refused:
        await promote()
    assert [finding.code for finding in refused.value.findings] == ["P102"]
    # of a file that means something else: it does not count for what is in force
    other = RuleTexts("own", shadow.document.replace("at_least: 1", "at_least: 2", 1),
                      shadow.vocabulary)  # fmt: skip
    await look_back(practice, file=other)
    with pytest.raises(NotFitForLive):
        await promote()
    told = await look_back(practice, by="ada")
    assert told["status"] == "shadow"
    assert (await promote()).statuses[RULE].status == "live"
    (_, kept) = await practice.rows("SELECT * FROM keepwell.rule_backtests ORDER BY id")
    assert (kept["rule_id"], kept["meaning"]) == (RULE, told["meaning"])
    assert str(contact) not in str(kept)  # figures are kept, not people


async def test_a_shadow_or_draft_rule_is_tried_as_if_it_acted(practice):
    await publish(practice, rules_file("own", rule_text(RULE, status="draft"), rule_text("own.b")))
    contact = await practice.add_contact()
    await practice.add_event(contact, "appointment.no_show", NOON)
    assert (await look_back(practice))["proposals"] == 1


async def test_what_can_not_be_looked_back_on_is_refused(practice):
    await publish(practice, PLAIN)
    with pytest.raises(InvalidInput):
        Period(date(2026, 2, 2), date(2026, 2, 1))
    with pytest.raises(InvalidInput):
        Period(date(2020, 1, 1), date(2026, 1, 1))
    with pytest.raises(InvalidInput):
        await look_back(practice, Period(date(2026, 3, 1), date(2026, 3, 11)))
    with pytest.raises(RuleNotFound):
        await look_back(practice, rule="own.nothing")
    # today's night has been at nine in the morning
    assert (await look_back(practice, Period(MORNING.date(), MORNING.date())))["nights"] == 1
