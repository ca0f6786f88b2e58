"""An empty database gets the CRM and the five specified tables exactly as they are described."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from psycopg.errors import CheckViolation

from embedded.servers import EmbeddedServers
from store.catalogue import SPECIFIED_TABLES
from store.crm_contract import CRM_TABLES
from tests.integration.store.host_crm import Place

pytestmark = pytest.mark.integration

# column -> (type, null, default), as the descriptions write them
Columns = dict[str, tuple[str, str, str]]

OUR_COLUMNS = {
    "customer_health_scores": {
        *("hazard_30d", "hazard_60d", "hazard_90d", "hazard_120d"),
        *("health_tier", "as_of", "components", "component_score", "override_id"),
        *("churn_date_from", "churn_date_to", "confidence_reason", "level_reason"),
        *("predicted_ltv_low", "predicted_ltv_high", "ltv_method", "churn_date_share"),
    },
    "communication_insights": {"detail"},
}


@dataclass
class Described:
    """One table of a description."""

    columns: Columns = field(default_factory=dict)
    constraints: set[str] = field(default_factory=set)
    triggers: set[str] = field(default_factory=set)


def described(file: str) -> dict[str, Described]:
    """The tables that a description beside the repository lists; skips where there is none."""
    path = Path(__file__).parents[4] / "shared" / file
    if not path.exists():
        pytest.skip(f"the description {file} is not beside the repository")
    tables: dict[str, Described] = {}
    table = Described()
    for line in path.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"##+ `(\w+)`", line):
            table = tables.setdefault(heading[1], Described())
        elif line.startswith("| ") and not line.startswith("| column"):
            name, kind, null, default, *_ = (cell.strip() for cell in line[2:].split("|"))
            table.columns[name] = (kind, null, default)
        elif line.startswith("Constraints: "):
            table.constraints |= set(line.removeprefix("Constraints: ").split("; "))
        elif line.startswith(("- CHECK", "- FOREIGN KEY", "- UNIQUE")):
            table.constraints.add(line[2:].strip())
        elif line.startswith("Triggers: "):
            table.triggers |= set(line.removeprefix("Triggers: ").split(", "))
    return tables


@pytest.fixture
def created(servers: EmbeddedServers) -> Place:
    return Place(servers.socket_dir, "keepwell")


_SHORT = {
    "timestamp without time zone": "timestamp (no tz)",
    "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
    "character varying": "varchar",
    "character varying[]": "varchar[]",
}


def columns_of(place: Place, table: str) -> Columns:
    rows = place.rows(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated, "
        "pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a LEFT JOIN pg_attrdef d "
        "ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        f"WHERE a.attrelid = 'public.{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped"
    )
    return {
        name: (
            _SHORT.get(kind, kind),
            "no" if required else "yes",
            "generated" if generated == "s" else _default(default),
        )
        for name, kind, required, generated, default in rows
    }


def _default(expression: str | None) -> str:
    return re.sub(r"::[a-z ]+$", "", expression or "")


def constraints_of(place: Place, table: str) -> dict[str, str]:
    rows = place.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        f"WHERE conrelid = 'public.{table}'::regclass AND contype IN ('c', 'f', 'u')"
    )
    return {str(name): str(definition) for name, definition in rows}


def test_the_crms_tables_are_created_column_by_column(created: Place) -> None:
    tables = described("crm-schema.md")
    assert tables.keys() == CRM_TABLES.keys()
    for name, table in tables.items():
        wanted = {
            column: (kind, null, default.replace("uuid_generate_v4", "gen_random_uuid"))
            for column, (kind, null, default) in table.columns.items()
        }
        assert columns_of(created, name) == wanted, name


def test_the_crms_constraints_and_triggers_are_created(created: Place) -> None:
    for name, table in described("crm-schema.md").items():
        wanted = {each for each in table.constraints if "auth.users" not in each}
        assert set(constraints_of(created, name).values()) == wanted, name
        triggers = created.rows(
            "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal "
            f"AND tgrelid = 'public.{name}'::regclass"
        )
        assert {row[0] for row in triggers} == table.triggers, name


def test_the_specified_tables_are_there_word_for_word(created: Place) -> None:
    tables = described("tables.md")
    assert tables.keys() == set(SPECIFIED_TABLES)
    for name, table in tables.items():
        found = columns_of(created, name)
        ours = found.keys() - table.columns.keys()
        assert ours == OUR_COLUMNS.get(name, set()), name
        assert {c: d for c, d in found.items() if c not in ours} == table.columns, name
        assert set(constraints_of(created, name).values()) >= table.constraints, name
        added = set(constraints_of(created, name).values()) - table.constraints
        # checks of our own columns are ours as well
        added -= {each for each in added if any(f"(({own} " in each for own in ours)}
        assert all("ON DELETE" in each or each.startswith("UNIQUE") for each in added), name


def test_a_specified_check_refuses_what_it_must(created: Place) -> None:
    for column, value in (
        ("churn_probability", "1.5"),
        ("churn_risk_level", "'dire'"),
        ("overall_health_score", "101"),
    ):
        with (
            created.connect() as connection,
            pytest.raises(CheckViolation),
        ):
            connection.execute(f"INSERT INTO customer_health_scores ({column}) VALUES ({value})")


def test_what_deletes_comes_before_what_refuses(created: Place) -> None:
    rows = created.rows(
        "SELECT c.conname, c.confdeltype, t.tgname FROM pg_constraint c "
        "JOIN pg_trigger t ON t.tgconstraint = c.oid AND t.tgrelid = c.confrelid "
        "AND t.tgtype & 8 = 8 WHERE c.contype = 'f' "
        f"AND c.conrelid = ANY(ARRAY{list(SPECIFIED_TABLES)}::regclass[])"
    )
    fired = {str(name): str(trigger) for name, _, trigger in rows}
    plain = [str(name) for name, deletion, _ in rows if deletion == "a"]
    assert len(plain) == 12
    for name in plain:
        deleting = name.replace("_fkey", "_deletion")
        assert fired[deleting] < fired[name]
        assert deleting < name, "a dump writes them in the order of their names"


def test_nothing_needs_an_extension(created: Place) -> None:
    assert created.rows("SELECT extname FROM pg_extension") == [("plpgsql",)]
