"""Rule sets: a broken one never replaces the live one, every version is kept."""

import asyncio

import pytest

from engine.errors import InvalidRules
from services.publish_rules import (
    RulePackNotFound,
    RuleTexts,
    ensure_rules,
    pack_texts,
    publish_pack,
    publish_rules,
)
from tests.factories.practice import MORNING, Practice, forget_playbooks

pytestmark = pytest.mark.integration

HEALTHCARE = pack_texts("healthcare/retention")


def changed(old: str, new: str) -> RuleTexts:
    assert old in HEALTHCARE.document
    return RuleTexts(HEALTHCARE.name, HEALTHCARE.document.replace(old, new), HEALTHCARE.vocabulary)


async def published(practice: Practice, texts: RuleTexts, by: str = "ada") -> tuple[str, int]:
    async with practice.transaction() as connection:
        rule_set, version = await publish_rules(connection, practice.tenant_id, texts, by=by)
    return rule_set.digest, version


async def stored(practice: Practice) -> list[tuple[int, str, str]]:
    rows = await practice.rows(
        "SELECT version, status, digest FROM keepwell.rule_sets ORDER BY name, version"
    )
    return [(row["version"], row["status"], row["digest"]) for row in rows]


async def test_a_new_version_goes_live_and_the_one_before_is_kept(practice):
    first, _ = await published(practice, HEALTHCARE)
    second, version = await published(practice, changed("value: 120.00", "value: 150.00"))
    assert version == 2
    assert await stored(practice) == [(1, "retired", first), (2, "live", second)]

    contact = await practice.add_missed()
    decided = await practice.decide(contact)
    assert decided["versions"]["rule_set_digest"] == second
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
async def test_a_broken_rule_set_never_replaces_the_live_one(practice, old, new):
    first, _ = await published(practice, HEALTHCARE)
    with pytest.raises(InvalidRules) as refused:
        await published(practice, changed(old, new))
    assert refused.value.findings
    assert await stored(practice) == [(1, "live", first)]
    assert await practice.count("keepwell.audit_trail") == 1
    decided = await practice.decide(await practice.add_missed())
    assert decided["versions"]["rule_set_digest"] == first


async def test_a_broken_vocabulary_is_refused(practice):
    broken = RuleTexts("x", HEALTHCARE.document, HEALTHCARE.vocabulary.replace("events:", "evens:"))
    with pytest.raises(InvalidRules):
        await published(practice, broken)
    assert await stored(practice) == []


async def test_the_digest_that_is_live_is_no_new_version(practice):
    first = await published(practice, HEALTHCARE)
    # a comment changes the text, not what the rules say
    again = await published(practice, changed("rules:", "# nothing new\nrules:"))
    assert again == first
    assert len(await stored(practice)) == 1


async def test_going_back_to_an_old_version_is_a_new_one_with_the_old_digest(practice):
    first, _ = await published(practice, HEALTHCARE)
    await published(practice, changed("value: 120.00", "value: 150.00"))
    back, version = await published(practice, HEALTHCARE)
    assert (back, version) == (first, 3)
    assert [status for _, status, _ in await stored(practice)] == ["retired", "retired", "live"]


async def test_a_rule_set_of_another_name_retires_the_one_that_was_live(practice):
    await published(practice, HEALTHCARE)
    await published(practice, RuleTexts("own", changed("value: 120.00", "value: 90.00").document,
                                        HEALTHCARE.vocabulary))  # fmt: skip
    live = await practice.rows("SELECT name FROM keepwell.rule_sets WHERE status = 'live'")
    assert [row["name"] for row in live] == ["own"]


@pytest.mark.parametrize(
    ("industry", "pack"),
    [("healthcare", "healthcare/retention"), ("trades", "common/retail"), (None, "common/retail")],
)
async def test_a_tenant_without_rules_gets_the_pack_of_its_industry(practice, industry, pack):
    async with practice.transaction() as connection:
        await ensure_rules(connection, practice.tenant_id, industry)
    (row,) = await practice.rows("SELECT name, status, created_by FROM keepwell.rule_sets")
    assert (row["name"], row["status"]) == (pack, "live")
    assert row["created_by"] == "keepwell: default pack"


async def test_the_audit_trail_says_who_published_what(practice):
    digest, version = await published(practice, HEALTHCARE, by="grace")
    (line,) = await practice.rows("SELECT * FROM keepwell.audit_trail")
    assert (line["actor"], line["action"], line["entity"], line["entity_id"]) == (
        "grace", "publish", "rule_set", "healthcare/retention",
    )  # fmt: skip
    assert line["detail"] == {"version": version, "digest": digest}
    assert line["at"] >= MORNING


async def test_a_pack_that_does_not_exist_is_named_with_those_that_do(practice):
    for name in ("healthcare/nothing", "../../etc/passwd", "healthcare/healthcare.vocab"):
        async with practice.transaction() as connection:
            with pytest.raises(RulePackNotFound) as refused:
                await publish_pack(connection, practice.tenant_id, name, by="ada")
        assert "healthcare/retention" in refused.value.hint


async def test_a_decision_made_by_a_version_that_is_retired_replays_identically(practice):
    decided = await practice.decide(await practice.add_missed())
    await published(practice, changed("value: 120.00", "value: 150.00"))
    forget_playbooks()
    replayed = await practice.replay(decided["id"])
    assert (replayed["verdict"], replayed["differences"]) == ("identical", [])


async def test_versions_published_at_the_same_time_leave_one_live(practice):
    texts = [changed("value: 120.00", f"value: {n}.00") for n in (130, 140, 150)]
    versions = await asyncio.gather(*(published(practice, each) for each in texts))
    assert sorted(version for _, version in versions) == [1, 2, 3]
    assert [status for _, status, _ in await stored(practice)].count("live") == 1


async def test_rules_of_one_tenant_are_not_those_of_another(practice, other_practice):
    await published(practice, changed("value: 120.00", "value: 150.00"))
    decided = await other_practice.decide(await other_practice.add_missed())
    assert decided["candidates"][0]["value_cents"] == 12_000
