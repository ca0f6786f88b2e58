"""Publishing: all files or none, a broken one never replaces what is in force, nothing is lost."""

import asyncio
from dataclasses import replace

import pytest

from engine.errors import InvalidInput, InvalidRules
from rules.document import RuleSet
from rules.includes import PACKS
from services.publish_rules import (
    NoRulesLeft,
    Publication,
    Published,
    RulesFileUnknown,
    publish_rules,
)
from services.release_rules import SecondPersonNeeded, Signature, WeeklyVolume
from services.rule_texts import RulePackNotFound, RuleTexts, pack_texts
from services.rules_in_force import BY_DEFAULT, ensure_rules
from tests.factories.practice import MORNING, Practice, forget_playbooks
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

HEALTHCARE = pack_texts("healthcare/retention")
OWN = rules_file("own", rule_text("own.missed"))
THANKS = rules_file("thanks", rule_text("own.thanks", days=60))


def changed(old: str, new: str) -> RuleTexts:
    assert old in HEALTHCARE.document
    return replace(HEALTHCARE, document=HEALTHCARE.document.replace(old, new))


async def publish(
    practice: Practice, *files: RuleTexts, by: str = "ada", **options: object
) -> Published:
    estimate = options.pop("estimate", None)
    signature = Signature(by, options.pop("approved_by", None))
    async with practice.transaction() as connection:
        return await publish_rules(
            connection,
            practice.tenant_id,
            Publication(files, **options),
            signature,
            estimate=estimate,
        )


async def stored(practice: Practice) -> list[tuple[str, int, str]]:
    rows = await practice.rows(
        "SELECT name, version, status FROM keepwell.rule_sets ORDER BY name, version"
    )
    return [(row["name"], row["version"], row["status"]) for row in rows]


async def releases(practice: Practice) -> list[tuple[int, list[tuple[str, int]]]]:
    rows = await practice.rows("SELECT number, members FROM keepwell.rule_releases ORDER BY number")
    return [(r["number"], [(m["name"], m["version"]) for m in r["members"]]) for r in rows]


def proposing_rules(decided: dict[str, object]) -> set[str]:
    return {candidate["rule"] for candidate in decided["candidates"] if candidate["rule"]}


async def test_a_new_version_goes_live_and_the_one_before_is_kept(practice):
    await publish(practice, HEALTHCARE)
    second = await publish(practice, changed("value: 120.00", "value: 150.00"))
    assert await releases(practice) == [(1, [(HEALTHCARE.name, 1)]), (2, [(HEALTHCARE.name, 2)])]
    assert await stored(practice) == [
        (HEALTHCARE.name, 1, "retired"),
        (HEALTHCARE.name, 2, "live"),
    ]
    decided = await practice.decide(await practice.add_missed())
    assert decided["versions"]["rule_set_digest"] == second.release.digest
    assert decided["candidates"][0]["value_cents"] == 15_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count: appointment.no_show", "count: appointment.no_shwo"),
        ("purpose: treatment", "purpose: fun"),
        ("if_contacted: 0.27", "if_contacted: 27"),
        ("rules:", "rulez:"),
        ("format: 1", "format: ["),
    ],
)
async def test_a_broken_file_never_replaces_what_is_in_force(practice, old, new):
    first = await publish(practice, HEALTHCARE)
    with pytest.raises(InvalidRules) as refused:
        await publish(practice, changed(old, new), OWN)
    assert refused.value.findings
    assert await stored(practice) == [(HEALTHCARE.name, 1, "live")]
    assert await practice.count("keepwell.audit_trail") == 1
    decided = await practice.decide(await practice.add_missed())
    assert decided["versions"]["rule_set_digest"] == first.release.digest


async def test_the_faults_of_all_files_are_told_at_once(practice):
    broken = [
        rules_file(name, rule_text(f"{name}.rule").replace("purpose: treatment", "purpose: fun"))
        for name in ("one", "two")
    ]
    with pytest.raises(InvalidRules) as refused:
        await publish(practice, *broken)
    assert {finding.file for finding in refused.value.findings} == {"one.yaml", "two.yaml"}


async def test_a_file_whose_own_tests_fail_is_refused_with_the_line_of_the_test(practice):
    wrong = rules_file("own", rule_text("own.missed", expect="quiet"))
    with pytest.raises(InvalidRules) as refused:
        await publish(practice, wrong)
    (finding,) = refused.value.findings
    assert (finding.code, finding.file) == ("T101", "own.yaml")
    assert wrong.document.splitlines()[finding.line - 1].strip() == "- name: missed the day before"
    assert await stored(practice) == []


async def test_a_broken_vocabulary_is_refused(practice):
    broken = replace(HEALTHCARE, vocabulary=HEALTHCARE.vocabulary.replace("events:", "evens:"))
    with pytest.raises(InvalidRules):
        await publish(practice, broken)
    assert await stored(practice) == []


async def test_what_a_vocabulary_includes_is_stored_with_it(practice):
    including = replace(OWN, vocabulary="format: 1\ninclude: [healthcare.vocab.yaml]\n")
    await publish(practice, including)
    (row,) = await practice.rows("SELECT vocabulary FROM keepwell.rule_sets")
    assert "appointment.no_show" in row["vocabulary"]
    assert "include" not in row["vocabulary"]


async def test_files_of_other_names_stay_and_their_rules_go_on(practice):
    await publish(practice, HEALTHCARE)
    await publish(practice, OWN)
    assert await releases(practice) == [
        (1, [(HEALTHCARE.name, 1)]),
        (2, [(HEALTHCARE.name, 1), ("own", 1)]),
    ]
    decided = await practice.decide(await practice.add_missed())
    assert {"clinic.no-show-rescue", "own.missed"} <= proposing_rules(decided)


async def test_a_file_that_uses_the_id_of_a_rule_in_force_is_refused(practice):
    await publish(practice, OWN)
    with pytest.raises(InvalidRules):
        await publish(practice, rules_file("copy", rule_text("own.missed")))
    assert await releases(practice) == [(1, [("own", 1)])]


async def test_a_removed_file_proposes_nothing_any_more(practice):
    await publish(practice, OWN, THANKS)
    published = await publish(practice, remove=("thanks",))
    assert published.rules == {"own.thanks": None}
    assert await stored(practice) == [("own", 1, "live"), ("thanks", 1, "retired")]
    decided = await practice.decide(await practice.add_missed())
    assert proposing_rules(decided) == {"own.missed"}


async def test_what_is_not_there_can_not_be_removed_and_something_has_to_stay(practice):
    await publish(practice, OWN)
    with pytest.raises(RulesFileUnknown):
        await publish(practice, remove=("nothing",))
    with pytest.raises(NoRulesLeft):
        await publish(practice, remove=("own",))
    with pytest.raises(InvalidInput):
        await publish(practice, OWN, OWN)
    assert await releases(practice) == [(1, [("own", 1)])]


async def test_what_is_in_force_already_makes_no_release(practice):
    first = await publish(practice, OWN)
    again = await publish(practice, OWN)
    assert (again.release, again.changed, again.rules) == (first.release, False, {})
    assert len(await stored(practice)) == 1


async def test_a_text_with_other_tests_is_kept_although_the_rules_say_the_same(practice):
    await publish(practice, OWN)
    tested = replace(OWN, document=OWN.document + "# looked at again\n")
    again = await publish(practice, tested)
    assert (again.changed, again.rules) == (True, {})
    assert await releases(practice) == [(1, [("own", 1)]), (2, [("own", 2)])]


async def test_a_dry_run_checks_everything_and_changes_nothing(practice):
    await publish(practice, OWN)
    planned = await publish(practice, THANKS, dry_run=True)
    assert (planned.changed, list(planned.rules)) == (False, ["own.thanks"])
    with pytest.raises(InvalidRules):
        await publish(practice, rules_file("own", "  - id: nothing\n"), dry_run=True)
    assert await releases(practice) == [(1, [("own", 1)])]
    assert await practice.count("keepwell.rule_sets") == 1


@pytest.mark.parametrize(
    ("industry", "folder"),
    [
        ("healthcare", "healthcare"),
        ("trades", "trades"),
        ("professional_services", "professional_services"),
        ("bakery", "retail"),
        (None, "retail"),
    ],
)
async def test_a_tenant_without_rules_gets_all_packs_of_its_industry_and_for_every_business(
    practice, industry, folder
):
    async with practice.transaction() as connection:
        await ensure_rules(connection, practice.tenant_id, industry)
    ((number, members),) = await releases(practice)
    assert number == 1
    shipped = {
        f"{path.parent.name}/{path.stem}"
        for path in PACKS.rglob("*.yaml")
        if not path.name.endswith(".vocab.yaml")
    }
    expected = {name for name in shipped if name.partition("/")[0] in {folder, "common"}}
    assert {name for name, _ in members} == expected
    rows = await practice.rows("SELECT DISTINCT created_by FROM keepwell.rule_sets")
    assert rows == [{"created_by": BY_DEFAULT}]


async def test_rules_from_before_there_were_releases_become_the_first_one(practice):
    await practice.execute(
        "INSERT INTO keepwell.rule_sets (tenant_id, name, version, digest, status, document, "
        "vocabulary, created_by) VALUES (:t, 'old', 3, 'by meaning', 'live', :d, :v, 'ada')",
        t=practice.tenant_id, d=OWN.document, v=OWN.vocabulary,
    )  # fmt: skip
    decided = await practice.decide(await practice.add_missed())
    assert proposing_rules(decided) == {"own.missed"}
    assert await releases(practice) == [(1, [("old", 3)])]
    assert (await practice.replay(decided["id"]))["verdict"] == "identical"


async def test_a_decision_from_before_there_were_releases_replays(practice):
    await practice.execute(
        "INSERT INTO keepwell.rule_sets (tenant_id, name, version, digest, status, document, "
        "vocabulary, created_by) VALUES (:t, 'own', 1, 'by meaning', 'live', :d, :v, 'ada')",
        t=practice.tenant_id, d=OWN.document, v=OWN.vocabulary,
    )  # fmt: skip
    decided = await practice.decide(await practice.add_missed())
    practice.tamper(
        "UPDATE keepwell.decisions SET rule_set_digest = 'by meaning' WHERE id = %s", decided["id"]
    )
    forget_playbooks()
    replayed = await practice.replay(decided["id"])
    assert (replayed["verdict"], replayed["differences"]) == ("identical", [])


async def test_the_audit_trail_says_who_published_what(practice):
    published = await publish(practice, OWN, by="grace", approved_by="ada")
    (line,) = await practice.rows("SELECT * FROM keepwell.audit_trail")
    assert (line["actor"], line["action"], line["entity"], line["entity_id"]) == (
        "grace", "publish", "rule_release", "1",
    )  # fmt: skip
    detail = line["detail"]
    assert detail["files"] == {"own": OWN.digest}
    assert detail["release_digest"] == published.release.digest
    assert detail["rules"] == dict(published.rules)
    assert detail["approved_by"] == "ada"
    assert line["at"] >= MORNING


async def test_a_pack_that_does_not_exist_is_named_with_those_that_do():
    for name in ("healthcare/nothing", "../../etc/passwd", "healthcare/healthcare.vocab"):
        with pytest.raises(RulePackNotFound) as refused:
            pack_texts(name)
        assert "healthcare/retention" in refused.value.hint


async def test_a_decision_of_a_release_that_is_replaced_replays_identically(practice):
    decided = await practice.decide(await practice.add_missed())
    await publish(practice, changed("value: 120.00", "value: 150.00"))
    forget_playbooks()
    replayed = await practice.replay(decided["id"])
    assert (replayed["verdict"], replayed["differences"]) == ("identical", [])


async def test_publications_at_the_same_time_lose_nothing(practice):
    files = [rules_file(f"f{n}", rule_text(f"own.rule-{n}", days=30 + n)) for n in range(4)]
    await asyncio.gather(*(publish(practice, file) for file in files))
    found = await releases(practice)
    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert found[-1][1] == [(f"f{n}", 1) for n in range(4)]
    assert {status for _, _, status in await stored(practice)} == {"live"}


async def test_a_crash_before_the_commit_leaves_what_was_in_force(practice):
    await publish(practice, OWN)
    before = await stored(practice), await releases(practice)

    class Crash(Exception):
        pass

    async def crash() -> None:
        wish = Publication((THANKS,), remove=("own",))
        async with practice.transaction() as connection:
            await publish_rules(connection, practice.tenant_id, wish, Signature("ada"))
            raise Crash

    with pytest.raises(Crash):
        await crash()
    assert (await stored(practice), await releases(practice)) == before
    assert await practice.count("keepwell.audit_trail") == 1


async def test_rules_of_one_tenant_are_not_those_of_another(practice, other_practice):
    await publish(practice, changed("value: 120.00", "value: 150.00"))
    decided = await other_practice.decide(await other_practice.add_missed())
    assert decided["candidates"][0]["value_cents"] == 12_000


# ------------------------------------------------------------------------------ second person


def proposing(before: float, after: float):
    """An estimate that found these figures, and remembers what it was asked about."""
    asked: list[tuple[RuleSet | None, RuleSet]] = []

    async def estimate(old: RuleSet | None, new: RuleSet) -> WeeklyVolume:
        asked.append((old, new))
        return WeeklyVolume(before, after, "a sample of 1,000")

    return estimate, asked


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        (400, 500, False),  # exactly 25 %
        (400, 501, True),
        (100, 199, False),  # many percent, few people
        (100, 200, True),
        (0, 99, False),
        (0, 100, True),
        (1000, 10, False),
    ],
)
async def test_writing_to_many_more_people_needs_a_second_person(practice, before, after, needed):
    await publish(practice, OWN)
    estimate, asked = proposing(before, after)
    if needed:
        with pytest.raises(SecondPersonNeeded, match="a sample"):
            await publish(practice, THANKS, estimate=estimate)
        assert len(await releases(practice)) == 1
        published = await publish(practice, THANKS, estimate=estimate, approved_by="grace")
    else:
        published = await publish(practice, THANKS, estimate=estimate)
    assert published.release.number == 2
    assert (published.volume.before, published.volume.after) == (before, after)
    old, new = asked[0]
    assert [rule.id for rule in old.rules] == ["own.missed"]
    assert {rule.id for rule in new.rules} == {"own.missed", "own.thanks"}


async def test_the_bound_on_growth_is_the_tenants_own(practice):
    await publish(practice, OWN)
    await practice.set(second_person_above={"share": 1.0, "contacts": 10})
    estimate, _ = proposing(20, 41)
    with pytest.raises(SecondPersonNeeded):
        await publish(practice, THANKS, estimate=estimate)
    estimate, _ = proposing(20, 40)
    assert (await publish(practice, THANKS, estimate=estimate)).changed


@pytest.mark.parametrize("approver", ["ada", " Ada ", "ADA"])
async def test_nobody_approves_their_own_release(practice, approver):
    with pytest.raises(InvalidInput):
        await publish(practice, OWN, by="ada", approved_by=approver)
    with pytest.raises(InvalidInput):
        await publish(practice, OWN, by=" ")
