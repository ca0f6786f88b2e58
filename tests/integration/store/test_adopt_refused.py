"""A CRM that is not as expected is left alone, and the message says what to mend."""

from pathlib import Path

import pytest

from engine.errors import DatabaseUnavailable, SchemaMismatch
from services.import_kinds import KINDS
from store.crm_access import OwnerLacksRight
from store.crm_contract import COLUMNS_USED
from store.upgrade import upgrade
from tests.integration.store.host_crm import Place, dumped_objects

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER TABLE crm_contacts DROP COLUMN timezone",
            "crm_contacts.timezone: expected character varying, found no column",
        ),
        (
            "ALTER TABLE crm_contacts RENAME COLUMN do_not_sms TO no_sms",
            "crm_contacts.do_not_sms: expected boolean, found no column",
        ),
        (
            "ALTER TABLE crm_activities ALTER COLUMN created_at TYPE timestamptz",
            "crm_activities.created_at: expected timestamp without time zone, "
            "found timestamp with time zone",
        ),
        (
            "ALTER TABLE crm_contacts ALTER COLUMN lead_status TYPE text",
            "crm_contacts.lead_status: expected character varying, found text",
        ),
        (
            "ALTER TABLE notifications ALTER COLUMN title TYPE bytea USING ''::bytea",
            "notifications.title: expected character varying, found bytea",
        ),
        ("DROP TABLE crm_activities", "but not crm_activities"),
        ("DROP TABLE crm_lead_sources, system_events", "but not crm_lead_sources, system_events"),
    ],
)
def test_what_differs_is_named_and_nothing_is_changed(host: Place, change: str, said: str) -> None:
    host.run(change, role="crm_owner")
    before = dumped_objects(host)
    with pytest.raises(SchemaMismatch) as refused:
        upgrade(host.url("crm_owner"))
    assert said in refused.value.message
    assert refused.value.hint
    assert dumped_objects(host) == before


def test_every_difference_is_named_at_once(host: Place) -> None:
    host.run("ALTER TABLE crm_contacts DROP COLUMN timezone; ALTER TABLE crm_deals DROP stage")
    with pytest.raises(SchemaMismatch) as refused:
        upgrade(host.url("crm_owner"))
    assert "crm_contacts.timezone" in refused.value.message
    assert "crm_deals.stage" in refused.value.message


def test_after_the_mending_the_same_command_succeeds(host: Place) -> None:
    host.run("ALTER TABLE crm_deals DROP COLUMN stage", role="crm_owner")
    with pytest.raises(SchemaMismatch):
        upgrade(host.url("crm_owner"))
    host.run("ALTER TABLE crm_deals ADD COLUMN stage varchar", role="crm_owner")
    scripts = Path(__file__).parents[3] / "migrations" / "versions"
    assert upgrade(host.url("crm_owner")) == sorted(f.stem[:4] for f in scripts.glob("*.py"))


def test_a_policy_that_we_could_not_evaluate_is_found_before_the_first_query(host: Place) -> None:
    host.run(
        """
        CREATE FUNCTION auth.is_staff() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT false';
        REVOKE ALL ON FUNCTION auth.is_staff() FROM PUBLIC;
        CREATE POLICY "Staff" ON crm_deals USING (auth.is_staff());
        CREATE POLICY "Known users" ON crm_accounts
          USING (created_by IN (SELECT id FROM auth.users));
        """
    )
    before = dumped_objects(host)
    with pytest.raises(SchemaMismatch) as refused:
        upgrade(host.url("crm_owner"))
    assert "crm_deals: its policies or defaults need EXECUTE ON FUNCTION auth.is_staff()" in str(
        refused.value
    )
    assert "GRANT SELECT ON auth.users TO keepwell_app;" in refused.value.hint
    assert dumped_objects(host) == before


def test_a_role_that_does_not_own_the_crm_is_told_so(host: Place) -> None:
    with pytest.raises(OwnerLacksRight, match="permission denied"):
        upgrade(host.url("keepwell"))


def test_a_server_that_is_away_is_told_so(host: Place) -> None:
    with pytest.raises(DatabaseUnavailable):
        upgrade(host.url("crm_owner").replace("/run", "/gone"))


def test_every_column_that_an_import_can_fill_is_checked() -> None:
    tables = {
        "account": "crm_accounts",
        "contact": "crm_contacts",
        "deal": "crm_deals",
        "activity": "crm_activities",
    }
    for kind, table in tables.items():
        assert KINDS[kind].fields.keys() <= COLUMNS_USED[table].keys(), kind
        assert KINDS[kind].extra in COLUMNS_USED[table]
