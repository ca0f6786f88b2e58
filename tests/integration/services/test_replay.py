"""A replay gives the same to the bit, or names what was altered."""

import asyncio
import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from engine.errors import DecisionNotFound
from tests.factories.practice import MORNING, Practice, forget_playbooks

pytestmark = pytest.mark.integration

IN_ANOTHER_PROCESS = """
import asyncio, json, os, sys
from uuid import UUID
from services.clock import Clock
from services.replay_decision import replay_decision
from services.settings import Settings
from services.wiring import Runtime
from store.database import Database

async def main():
    url, tenant, *decisions = sys.argv[1:]
    database = Database(url)
    runtime = Runtime(Settings(_env_file=None), Clock(), database, url, None, None, False)
    for decision in decisions:
        async with database.transaction(UUID(tenant)) as connection:
            replayed = await replay_decision(connection, runtime, UUID(tenant), UUID(decision))
        print(json.dumps(replayed))
    await database.close()

asyncio.run(main())
"""


async def stored(practice: Practice) -> dict:
    """A decision with a message."""
    contact = await practice.add_missed()
    decided = await practice.decide(contact, as_of=MORNING)
    assert decided["action"] == "no-show-rescue"
    return decided


def told(replayed: dict) -> set[tuple[str, str]]:
    return {(each["where"], each["field"]) for each in replayed["differences"]}


async def test_every_kind_of_decision_replays_identically_after_a_restart(practice):
    contacts = {
        "message": await practice.add_missed(),
        "holdout": await practice.add_missed(held=True),
        "nothing": await practice.add_contact(),
        "no consent": await practice.add_missed(consented=False),
        "half-hour zone": await practice.add_missed(timezone="Asia/Kolkata"),
        "unknown zone": await practice.add_missed(timezone="Mars/Phobos"),
    }
    ids = [(await practice.decide(c, as_of=MORNING))["id"] for c in contacts.values()]
    _, recorded, _ = await practice.decide_all(as_of=MORNING + timedelta(seconds=3))
    ids += [each.row["id"] for each in recorded]
    ids.append((await practice.decide(contacts["message"], trigger="appointment.no_show"))["id"])
    forget_playbooks()
    for decision_id in ids:
        replayed = await practice.replay(decision_id)
        assert (replayed["verdict"], replayed["differences"]) == ("identical", [])
        assert replayed["compared_fields"] > 20


async def test_another_process_with_another_hash_seed_replays_identically(practice):
    contacts = [await practice.add_missed() for _ in range(3)]
    ids = [(await practice.decide(c, as_of=MORNING))["id"] for c in contacts]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", IN_ANOTHER_PROCESS,
        practice.runtime.database_url, str(practice.tenant_id), *ids,
        cwd=Path(__file__).parents[3],
        # the server's and the process's own zone decide nothing
        env={**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Kolkata", "PGTZ": "Asia/Kolkata"},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    replayed = [json.loads(line) for line in out.decode().splitlines()]
    assert [(each["verdict"], each["differences"]) for each in replayed] == [("identical", [])] * 3


async def test_a_replay_writes_nothing(practice):
    decided = await stored(practice)
    tables = ("decisions", "candidates", "sends", "events", "rule_sets", "audit_trail")
    before = [await practice.count(f"keepwell.{table}") for table in tables]
    await practice.replay(decided["id"])
    assert [await practice.count(f"keepwell.{table}") for table in tables] == before


async def test_an_altered_profile_is_named(practice):
    decided = await stored(practice)
    practice.tamper(
        "UPDATE keepwell.decisions SET profile = replace(profile::text, "
        "'America/New_York', 'Asia/Kolkata')::json WHERE id = %s",
        decided["id"],
    )
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "differs"
    assert {
        ("stored", "profile_digest"),
        ("decision", "send_at"),
        ("sources", "zone"),
    } <= told(replayed)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("channel", "CASE channel WHEN 'sms' THEN 'email' ELSE 'sms' END"),
        ("score_cents", "score_cents + 1e-6"),
        ("variant", "'other'"),
        ("send_at", "send_at + interval '1 s'"),
        ("selection_probability", "selection_probability / 2"),
        ("reason", "'holdout'"),
        ("action", "'recall'"),
    ],
)
async def test_an_altered_outcome_is_named(practice, column, value):
    decided = await stored(practice)
    practice.tamper(
        f"UPDATE keepwell.decisions SET {column} = {value} WHERE id = %s", decided["id"]
    )
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "differs"
    assert told(replayed) == {("stored", "decision_digest"), ("decision", column)}


async def test_an_altered_trace_is_named(practice):
    decided = await stored(practice)
    practice.tamper(
        "UPDATE keepwell.candidates SET effect = effect + 1e-9 "
        "WHERE decision_id = %s AND position = 0",
        decided["id"],
    )
    replayed = await practice.replay(decided["id"])
    assert told(replayed) == {("candidates", "0.effect")}
    practice.tamper("DELETE FROM keepwell.candidates WHERE decision_id = %s", decided["id"])
    assert ("candidates", "count") in told(await practice.replay(decided["id"]))


async def test_an_altered_event_is_an_input_that_changed(practice):
    decided = await stored(practice)
    practice.tamper(
        "UPDATE keepwell.events SET occurred_at = occurred_at - interval '1 day' "
        "WHERE tenant_id = %s",
        practice.tenant_id,
    )
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "inputs_changed"
    assert {where for where, _ in told(replayed)} == {"sources"}
    older = [d["now"] - d["stored"] for d in replayed["differences"]]
    assert 1.0 in older  # the age of the no-show, days


async def test_a_contact_changed_since_in_the_crm_is_an_input_that_changed(practice):
    decided = await stored(practice)
    contact = decided["contact_id"]
    await practice.execute("UPDATE crm_contacts SET do_not_email = true WHERE id = :id", id=contact)
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "inputs_changed"
    assert ("sources", "consent.email:service") in told(replayed)


async def test_a_contact_deleted_since_in_the_crm_is_an_input_that_changed(practice):
    decided = await stored(practice)
    practice.tamper("DELETE FROM crm_contacts WHERE id = %s", decided["contact_id"])
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "inputs_changed"
    assert told(replayed) == {("sources", "contact_id")}


async def test_an_altered_rule_set_is_named_after_a_restart(practice):
    decided = await stored(practice)
    practice.tamper(
        "UPDATE keepwell.rule_sets SET document = replace(document, 'value: 120.00 USD', "
        "'value: 121.00 USD') WHERE tenant_id = %s",
        practice.tenant_id,
    )
    forget_playbooks()
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "differs"
    assert ("versions", "rule_set_digest") in told(replayed)
    assert ("candidates", "0.value_cents") in told(replayed)


async def test_what_was_altered_for_one_tenant_reaches_no_other_with_the_same_rules(
    practice, other_practice
):
    altered, sound = await stored(practice), await stored(other_practice)
    practice.tamper(
        "UPDATE keepwell.rule_sets SET document = replace(document, 'value: 120.00 USD', "
        "'value: 121.00 USD') WHERE tenant_id = %s",
        practice.tenant_id,
    )
    forget_playbooks()
    assert (await practice.replay(altered["id"]))["verdict"] == "differs"
    assert (await other_practice.replay(sound["id"]))["verdict"] == "identical"


async def test_a_lost_rule_set_is_named(practice):
    decided = await stored(practice)
    practice.tamper("DELETE FROM keepwell.rule_sets WHERE tenant_id = %s", practice.tenant_id)
    forget_playbooks()
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "differs"
    assert told(replayed) == {("versions", "rule_set_not_found")}


async def test_a_decision_by_other_library_versions_is_named(practice):
    decided = await stored(practice)
    practice.tamper("UPDATE keepwell.decisions SET libraries = 'numpy=1.0' WHERE id = %s",
                    decided["id"])  # fmt: skip
    assert told(await practice.replay(decided["id"])) == {("versions", "libraries")}


async def test_decisions_of_others_and_unknown_ones_are_not_found(practice, other_practice):
    foreign = await stored(other_practice)
    for decision_id in (foreign["id"], uuid4()):
        with pytest.raises(DecisionNotFound):
            await practice.replay(decision_id)


async def test_settings_changed_since_are_told_and_the_decision_still_recomputes(practice):
    decided = await stored(practice)
    await practice.set(channels=[])
    replayed = await practice.replay(decided["id"])
    assert replayed["verdict"] == "inputs_changed"
    assert {where for where, _ in told(replayed)} == {"sources"}
