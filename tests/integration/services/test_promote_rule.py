"""A rule's way to live and out of it again: what it takes, what is halted, what comes back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import InvalidInput
from gateways.debug_smtp import DebugSmtp
from gateways.email import EmailSender
from rules.meaning import rule_meaning
from services.deliver import deliver_due
from services.halt_rules import halt_rules
from services.live_requirements import NotFitForLive
from services.promote_rule import promote_rule
from services.publish_rules import Publication, publish_rules
from services.release_rules import SecondPersonNeeded, Signature, WeeklyVolume
from services.roll_back_rules import NoEarlierRelease, ReleaseNotFound, roll_back_rules
from services.rule_texts import RuleTexts, parse_texts
from services.rules_in_force import RuleNotFound
from services.show_rules import show_releases, show_rules
from store.releases import Backtest, Release, record_backtest
from tests.factories.outbox import email_only
from tests.factories.practice import MORNING, Practice, forget_playbooks
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

RULE = "own.missed"
SHADOW = rules_file("own", rule_text(RULE, status="shadow"))
LIVE = rules_file("own", rule_text(RULE), rule_text("own.other", days=60, value="400.00"))


def meaning_in(texts: RuleTexts, rule_id: str = RULE) -> str:
    rules = parse_texts(texts)
    return next(rule_meaning(r, rules.vocabulary) for r in rules.rules if r.id == rule_id)


async def publish(practice: Practice, *files: RuleTexts, by: str = "ada") -> None:
    async with practice.transaction() as connection:
        await publish_rules(connection, practice.tenant_id, Publication(files), Signature(by))


async def promote(
    practice: Practice, status: str, by: str = "ada", approved_by: str | None = None
) -> Release:
    async with practice.transaction() as connection:
        return await promote_rule(
            connection, practice.tenant_id, RULE, status, Signature(by, approved_by)
        )


async def backtest(practice: Practice, texts: RuleTexts) -> None:
    done = Backtest(
        RULE, meaning_in(texts), MORNING - timedelta(days=90), MORNING, "ada", {"contacts": 12}
    )
    async with practice.transaction() as connection:
        await record_backtest(connection, practice.tenant_id, done)


async def halt(practice: Practice, *rules: str) -> Release:
    async with practice.transaction() as connection:
        reasons = {rule: f"{rule} is wrong" for rule in rules}
        return await halt_rules(connection, practice.tenant_id, reasons, "nightly check")


async def roll_back(practice: Practice, **options: object) -> Release:
    signature = Signature("grace", options.pop("approved_by", None), "too many")
    async with practice.transaction() as connection:
        return await roll_back_rules(connection, practice.tenant_id, signature, **options)


async def statuses(practice: Practice) -> dict[str, str]:
    async with practice.transaction() as connection:
        shown = await show_rules(connection)
    return {rule["id"]: rule["status"] for rule in shown["rules"]}


# ------------------------------------------------------------------------------------ to live


async def test_everything_that_keeps_a_rule_from_going_live_is_named_at_once(practice):
    # a test that shows it quiet is missing, and nobody has approved
    document = SHADOW.document.split("      - name: missed nothing")[0]
    await publish(practice, replace(SHADOW, document=document))
    with pytest.raises(NotFitForLive) as refused:
        await promote(practice, "live")
    assert [finding.code for finding in refused.value.findings] == ["L305", "L320", "P102", "P103"]
    assert await statuses(practice) == {RULE: "shadow"}


async def test_a_rule_that_has_shown_everything_goes_live_and_is_on_record(practice):
    await publish(practice, SHADOW)
    await backtest(practice, SHADOW)
    release = await promote(practice, "live", approved_by="grace")
    assert await statuses(practice) == {RULE: "live"}
    assert (release.number, release.made_by, release.approved_by) == (2, "ada", "grace")
    line = (await practice.rows("SELECT * FROM keepwell.audit_trail ORDER BY id DESC LIMIT 1"))[0]
    assert (line["actor"], line["action"], line["entity_id"]) == ("ada", "promote", RULE)
    assert line["detail"] == {
        "from": "shadow",
        "to": "live",
        "meaning": meaning_in(SHADOW),
        "release": 2,
        "release_digest": release.digest,
        "approved_by": "grace",
    }
    decided = await practice.decide(await practice.add_missed())
    assert decided["rule"] == RULE
    assert decided["versions"]["rule_set_digest"] == release.digest
    forget_playbooks()
    assert (await practice.replay(decided["id"]))["verdict"] == "identical"


async def test_the_author_of_the_file_can_not_approve_it_for_somebody_else(practice):
    await publish(practice, SHADOW, by="grace")
    await backtest(practice, SHADOW)
    with pytest.raises(NotFitForLive) as refused:
        await promote(practice, "live", by="ada", approved_by="Grace")
    assert [finding.code for finding in refused.value.findings] == ["P103"]
    with pytest.raises(InvalidInput):
        await promote(practice, "live", by="ada", approved_by="ada")


async def test_a_backtest_of_another_meaning_or_rule_does_not_count(practice):
    await publish(practice, SHADOW)
    await backtest(practice, rules_file("own", rule_text(RULE, days=60)))
    with pytest.raises(NotFitForLive) as refused:
        await promote(practice, "live", approved_by="grace")
    assert [finding.code for finding in refused.value.findings] == ["P102"]


@pytest.mark.parametrize("status", ["draft", "retired", "shadow"])
async def test_a_rule_is_taken_back_without_asking_anybody(practice, status):
    await publish(practice, LIVE)
    await promote(practice, status)
    assert await statuses(practice) == {RULE: status, "own.other": "live"}
    decided = await practice.decide(await practice.add_missed())
    assert decided["rule"] == "own.other"


async def test_a_status_that_a_rule_has_makes_no_release_and_unknown_ones_are_refused(practice):
    await publish(practice, LIVE)
    assert (await promote(practice, "live")).number == 1
    with pytest.raises(InvalidInput):
        await promote(practice, "on")
    async with practice.transaction() as connection:
        with pytest.raises(RuleNotFound):
            await promote_rule(
                connection, practice.tenant_id, "own.nothing", "shadow", Signature("ada")
            )


# ---------------------------------------------------------------------- what a status is about


async def test_a_status_given_to_a_rule_outlives_a_change_of_layout_and_tests(practice):
    await publish(practice, SHADOW)
    await backtest(practice, SHADOW)
    await promote(practice, "live", approved_by="grace")
    retold = SHADOW.document.replace("missed the day before", "yesterday").replace(
        "owner: front-desk", "owner: recall-team"
    )
    await publish(practice, replace(SHADOW, document=f"# retold\n{retold}"))
    assert await statuses(practice) == {RULE: "live"}


async def test_a_status_lapses_when_the_rule_means_something_else(practice):
    await publish(practice, SHADOW)
    await backtest(practice, SHADOW)
    await promote(practice, "live", approved_by="grace")
    await publish(practice, rules_file("own", rule_text(RULE, status="shadow", value="600.00")))
    assert await statuses(practice) == {RULE: "shadow"}


@pytest.mark.parametrize("words", [["live"], ["shadow", "live"], ["retired", "shadow", "live"]])
async def test_no_file_makes_a_halted_rule_live_again(practice, words):
    await publish(practice, LIVE)
    await halt(practice, RULE)
    for status in words:
        said = LIVE.document.replace("status: live", f"status: {status}", 1)
        await publish(practice, replace(LIVE, document=f"# {words}\n{said}"))
    assert (await statuses(practice))[RULE] != "live"


async def test_a_file_can_take_a_rule_back_that_was_promoted(practice):
    await publish(practice, SHADOW)
    await backtest(practice, SHADOW)
    await promote(practice, "live", approved_by="grace")
    retired = SHADOW.document.replace("status: shadow", "status: retired")
    await publish(practice, replace(SHADOW, document=retired))
    assert await statuses(practice) == {RULE: "retired"}


# --------------------------------------------------------------------------------------- halt


async def test_a_halted_rule_decides_and_records_but_contacts_nobody(practice):
    await publish(practice, LIVE)
    release = await halt(practice, RULE)
    assert release.reason == f"{RULE}: {RULE} is wrong"
    assert await statuses(practice) == {RULE: "shadow", "own.other": "live"}
    decided = await practice.decide(await practice.add_missed())
    reasons = {each["rule"]: each["reason"] for each in decided["candidates"]}
    assert reasons[RULE] == "shadow_rule"
    assert decided["rule"] == "own.other"
    assert (await halt(practice, RULE)).number == release.number
    async with practice.transaction() as connection:
        with pytest.raises(RuleNotFound):
            await halt_rules(
                connection, practice.tenant_id, {"own.other": "x", "own.nothing": "x"}, "ada"
            )
    assert (await statuses(practice))["own.other"] == "live"


async def test_halting_again_after_the_rule_changed_is_a_new_release(practice):
    await publish(practice, LIVE)
    await halt(practice, RULE, "own.other")
    changed = rules_file("own", rule_text(RULE, value="600.00"))
    await publish(practice, changed)
    assert await statuses(practice) == {RULE: "live"}
    assert (await halt(practice, RULE)).number == 4


@pytest.mark.parametrize("how", ["halted", "retired", "removed", "rolled back"])
async def test_what_a_rule_queued_is_not_sent_once_it_is_not_live(practice, how):
    await publish(practice, rules_file("other", rule_text("own.other", value="400.00")))
    await publish(practice, rules_file("own", rule_text(RULE)))
    contact = await practice.add_missed()
    decided = await practice.decide(contact)
    assert (decided["rule"], decided["send"]["status"]) == (RULE, "promised")
    if how == "halted":
        await halt(practice, RULE)
    elif how == "retired":
        await promote(practice, "retired")
    elif how == "removed":
        async with practice.transaction() as connection:
            await publish_rules(
                connection, practice.tenant_id, Publication((), ("own",)), Signature("ada")
            )
    else:
        await roll_back(practice)
    assert await delivered(practice) == [("suppressed", "rule_halted")]


async def test_what_a_rule_queued_is_sent_while_it_is_live(practice):
    await publish(practice, LIVE)
    decided = await practice.decide(await practice.add_missed())
    assert decided["rule"] == RULE
    await halt(practice, "own.other")
    assert await delivered(practice) == [("sent", None)]


async def delivered(practice: Practice) -> list[tuple[str, str | None]]:
    """State and reason of all sends after a worker's turn, when all of them are due."""
    (due,) = await practice.rows("SELECT max(next_at) AS at FROM keepwell.sends")
    later = practice.at(due["at"] + timedelta(minutes=1))
    async with DebugSmtp() as smtp:
        sender = EmailSender(smtp.url, sender="Nobody <nobody@keepwell.invalid>")
        await deliver_due(later.database, email_only(sender), practice.tenant_id)
        await sender.close()
    await later.database.close()
    rows = await practice.rows("SELECT state, reason FROM keepwell.sends")
    return [(row["state"], row["reason"]) for row in rows]


# ---------------------------------------------------------------------------------- roll back


async def test_a_roll_back_is_a_new_release_that_says_what_an_earlier_one_said(practice):
    await publish(practice, LIVE)
    await publish(practice, rules_file("own", rule_text(RULE, value="600.00")))
    back = await roll_back(practice)
    async with practice.transaction() as connection:
        third, second, first = await show_releases(connection)
    assert (third["number"], third["digest"]) == (3, first["digest"])
    assert (third["made_by"], third["reason"]) == ("grace", "too many")
    assert second["digest"] != first["digest"]
    assert back.number == 3
    live = await practice.rows("SELECT version FROM keepwell.rule_sets WHERE status = 'live'")
    assert live == [{"version": 1}]
    assert await statuses(practice) == {RULE: "live", "own.other": "live"}
    line = (await practice.rows("SELECT * FROM keepwell.audit_trail ORDER BY id DESC LIMIT 1"))[0]
    assert (line["action"], line["detail"]["from"], line["detail"]["to"]) == ("roll_back", 2, 1)


async def test_a_roll_back_brings_statuses_back_too(practice):
    await publish(practice, LIVE)
    await promote(practice, "retired")
    await halt(practice, "own.other")
    await roll_back(practice, to=2)
    assert await statuses(practice) == {RULE: "retired", "own.other": "live"}


async def test_going_back_to_what_is_in_force_already_makes_no_release(practice):
    await publish(practice, LIVE)
    await promote(practice, "retired")
    assert (await roll_back(practice, to=1)).number == 3
    assert (await roll_back(practice, to=1)).number == 3


async def test_there_has_to_be_something_to_go_back_to(practice):
    await publish(practice, LIVE)
    with pytest.raises(NoEarlierRelease):
        await roll_back(practice)
    with pytest.raises(ReleaseNotFound):
        await roll_back(practice, to=7)


async def test_going_back_to_rules_that_write_to_many_more_needs_a_second_person(practice):
    await publish(practice, LIVE)
    await promote(practice, "retired")

    async def estimate(_old: object, _new: object) -> WeeklyVolume:
        return WeeklyVolume(100, 900)

    with pytest.raises(SecondPersonNeeded):
        await roll_back(practice, estimate=estimate)
    assert (await roll_back(practice, estimate=estimate, approved_by="ada")).number == 3


async def test_one_tenants_releases_and_backtests_are_not_anothers(practice, other_practice):
    await publish(practice, SHADOW)
    await backtest(practice, SHADOW)
    await publish(other_practice, SHADOW)
    with pytest.raises(NotFitForLive) as refused:
        await promote(other_practice, "live", approved_by="grace")
    assert [finding.code for finding in refused.value.findings] == ["P102"]
