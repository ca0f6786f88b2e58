"""Rules that two ways evaluate differently are stopped; the others go on."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.features import columns
from gateways.debug_smtp import DebugSmtp
from gateways.email import EmailSender
from services.deliver import deliver_due
from services.import_crm import ImportOrder, import_file
from services.import_mapping import load_mapping
from services.publish_rules import Publication, publish_rules
from services.release_rules import Signature
from services.rule_texts import RuleTexts
from services.show_rules import show_rules
from services.verify_rules import Verification, verify_rules, verify_tonight
from store.database import Database
from store.tenants import get_tenant_id
from tests.factories.imports import ImportingTenant
from tests.factories.outbox import email_only
from tests.factories.practice import MORNING, Practice
from tests.factories.rule_files import rule_text, rules_file

pytestmark = pytest.mark.integration

MONTH, SEASON = "own.month", "own.season"
# whoever has missed an appointment within a month is worth more to the first rule
RULES = rules_file("own", rule_text(MONTH), rule_text(SEASON, days=60, value="400.00"))
SUBJECT_RULE = """\
  - id: own.open-booking
    title: A booking without an answer
    why: Whoever was never asked may not know.
    owner: front-desk
    status: live
    for_each: appointment
    when:
      - {last: appointment.booked, at_least_ago: 3 days}
    then:
      action: own-open-booking
      template: healthcare/no-show-rescue
      purpose: treatment
      by: [email]
      value: 10.00 USD
      cost: {email: 0.01}
      expect: {if_contacted: 0.5, if_left: 0.1, weight: 40}
      goal: appointment.kept within 14 days
"""


async def publish(practice: Practice, *files: RuleTexts) -> None:
    async with practice.transaction() as connection:
        await publish_rules(connection, practice.tenant_id, Publication(files), Signature("ada"))


async def verify(practice: Practice, **options: int) -> Verification:
    async with practice.transaction() as connection:
        return await verify_rules(connection, practice.tenant_id, as_of=practice.now(), **options)


async def statuses(practice: Practice) -> dict[str, str]:
    async with practice.transaction() as connection:
        shown = await show_rules(connection)
    return {rule["id"]: rule["status"] for rule in shown["rules"]}


@pytest.fixture
def miscount(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """As a fault of the batch would be: from the call on, a month has an event too many."""
    sound = columns._COLUMNS["count"]

    def one_more(batch, spec):
        counted = sound(batch, spec)
        return counted + 1 if spec.window_days == 30 else counted

    return lambda: monkeypatch.setitem(columns._COLUMNS, "count", one_more)


async def test_sound_rules_are_left_alone(practice: Practice) -> None:
    for days in (1, 20, 40, 100):
        contact = await practice.add_contact(custom_fields='{"age": 40}')
        await practice.add_no_show(contact, days)
    found = await verify(practice)
    assert (found.contacts, found.differences, found.halted) == (4, (), ())
    assert found.rules > 5
    assert (await verify(practice, sample=3)).contacts == 3


async def test_a_rule_that_differs_sends_nothing_more_and_the_others_go_on(
    practice: Practice, miscount: Callable[[], None]
) -> None:
    await publish(practice, RULES)
    recent = await practice.add_missed()
    earlier = await practice.add_contact()
    await practice.add_no_show(earlier, 45)
    stopped, goes_on = await practice.decide(recent), await practice.decide(earlier)
    assert [each["rule"] for each in (stopped, goes_on)] == [MONTH, SEASON]
    assert {each["send"]["status"] for each in (stopped, goes_on)} == {"promised"}

    miscount()
    found = await verify(practice)
    assert found.halted == (MONTH,)
    (difference,) = found.differences
    assert difference.what == "'count appointment.no_show in 30 days'"
    assert difference.times == 2
    both = {f"contact {recent}": ("1", "2"), f"contact {earlier}": ("0", "1")}
    assert (difference.alone, difference.batch) == both[difference.name]
    assert await statuses(practice) == {MONTH: "shadow", SEASON: "live"}

    then = practice.at(MORNING + timedelta(days=2, hours=3))
    async with DebugSmtp() as server:
        sender = email_only(EmailSender(server.url, sender="Nobody <nobody@keepwell.invalid>"))
        await deliver_due(then.database, sender, practice.tenant_id)
        await sender.close()
    await then.database.close()
    ended = await practice.rows("SELECT contact_id, state, reason FROM keepwell.sends")
    assert {row["contact_id"]: (row["state"], row["reason"]) for row in ended} == {
        recent: ("suppressed", "rule_halted"),
        earlier: ("sent", None),
    }


async def test_the_trail_names_rule_contact_and_feature_and_no_value(
    practice: Practice, miscount: Callable[[], None]
) -> None:
    await publish(practice, RULES)
    contact = await practice.add_missed()
    miscount()
    await verify(practice)
    lines = await practice.rows(
        "SELECT action, entity_id, detail->>'why' AS why FROM keepwell.audit_trail "
        "WHERE actor = 'keepwell: verification' ORDER BY id"
    )
    why = (
        "evaluated in two ways, 'count appointment.no_show in 30 days' differs "
        f"for contact {contact}"
    )
    assert [tuple(line.values()) for line in lines] == [
        ("differs", MONTH, why),
        ("halt", MONTH, why),
    ]


async def test_a_shadow_rule_that_differs_is_told_and_needs_no_release(
    practice: Practice, miscount: Callable[[], None]
) -> None:
    await publish(practice, rules_file("own", rule_text(MONTH, status="shadow")))
    await practice.add_missed()
    miscount()
    found = await verify(practice)
    assert ([each.rule_id for each in found.differences], found.halted) == ([MONTH], ())
    assert await practice.count("keepwell.rule_releases") == 1


async def test_rules_about_subjects_are_verified_on_each_open_one(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publish(practice, rules_file("own", SUBJECT_RULE))
    contact = await practice.add_contact()
    for number, days in enumerate((1, 5, 9)):
        at = MORNING - timedelta(days=days)
        await practice.add_event(contact, "appointment.booked", at, subject=f"appointment:{number}")
    found = await verify(practice)
    assert (found.subjects, found.differences) == (3, ())

    sound = columns._COLUMNS["days_since_last"]
    monkeypatch.setitem(
        columns._COLUMNS, "days_since_last", lambda batch, spec: sound(batch, spec) + 1
    )
    (difference,) = (await verify(practice)).differences
    assert difference.rule_id == "own.open-booking"
    assert difference.name.startswith(f"contact {contact}, appointment:")


async def test_a_tenant_is_verified_once_a_night(practice: Practice) -> None:
    await publish(practice, RULES)
    await practice.add_missed()
    assert await verify_tonight(practice.runtime, practice.tenant_id) is not None
    assert await verify_tonight(practice.runtime, practice.tenant_id) is None
    (run,) = await practice.rows("SELECT kind, counts, finished_at FROM keepwell.runs")
    assert run["counts"] == {"contacts": 1, "subjects": 0, "rules": 2, "differences": 0}
    assert run["finished_at"] is not None
    tomorrow = practice.at(MORNING + timedelta(days=1))
    assert await verify_tonight(tomorrow.runtime, practice.tenant_id) is not None
    await tomorrow.database.close()


async def test_a_tenant_without_rules_gets_none_by_being_verified(practice: Practice) -> None:
    assert await verify_tonight(practice.runtime, practice.tenant_id) is None
    assert await practice.count("keepwell.rule_releases") == 0


async def test_for_a_thousand_real_patients_every_way_agrees(
    database: Database, tmp_path: Path, real_data: Path
) -> None:
    clinic = ImportingTenant(database, tmp_path)
    file = real_data / "medical_noshow_kagglev2_2016.csv.gz"
    order = ImportOrder(file, load_mapping("clinic"), clinic.slug, clinic.rejects_file)
    await import_file(database, order)
    async with database.without_tenant() as connection:
        tenant_id = await get_tenant_id(connection, clinic.slug)
    async with database.transaction(tenant_id) as connection:
        moment = datetime(2016, 6, 1, 13, tzinfo=UTC)
        found = await verify_rules(connection, tenant_id, as_of=moment)
    assert (found.contacts, found.differences) == (1000, ())


def test_the_command_tells_what_differs_and_ends_with_one(
    servers, tenant, database, monkeypatch, tmp_path, miscount
) -> None:
    import psycopg  # noqa: PLC0415

    from cli.main import app  # noqa: PLC0415

    place = f"host={servers.socket_dir} user=postgres dbname=keepwell"
    with psycopg.connect(place) as connection:
        slug = connection.execute("SELECT slug FROM tenants WHERE id = %s", (tenant,)).fetchone()[0]
        connection.execute(
            "INSERT INTO crm_contacts (id, tenant_id, first_name, last_name) "
            "VALUES (gen_random_uuid(), %s, 'Ada', 'Byron')",
            (tenant,),
        )
    monkeypatch.setenv("KEEPWELL_DATABASE_URL", servers.app_database_url)
    (tmp_path / "own.yaml").write_text(RULES.document)
    published = CliRunner().invoke(
        app, ["rules", "publish", str(tmp_path / "own.yaml"), "--tenant", slug]
    )
    assert published.exit_code == 0, published.output

    miscount()
    said = CliRunner().invoke(app, ["rules", "verify", "--tenant", slug, "--json"])
    assert said.exit_code == 1, said.output
    shown = json.loads(said.stdout)
    assert shown["halted"] == [MONTH]
    assert shown["differences"][0]["alone"] == "0"
    said = CliRunner().invoke(app, ["rules", "verify", "--tenant", slug])
    assert f"{MONTH}, contact " in said.output
    assert "is 0 alone and 1 in a batch" in said.output

    due = CliRunner().invoke(app, ["rules", "due", "--tenant", slug, "--json"])
    assert json.loads(due.stdout) == {"contacts": 0, "due": 0, "failed": 0, "checks": []}
    due = CliRunner().invoke(app, ["rules", "due", "--tenant", slug])
    assert "0 contacts, 0 due, 0 failed" in due.output
