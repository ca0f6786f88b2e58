"""The five tables that the customer specified, under row-level security."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).parent.parent / "sql" / "0002_specified.sql"
TABLES = (
    "customer_health_scores",
    "customer_journey_stages",
    "customer_journey_progress",
    "retention_campaigns",
    "communication_insights",
)
# table, column, what it refers to, what a deletion there does here
REFERENCES = (
    ("customer_health_scores", "account_id", "crm_accounts", "SET NULL"),
    ("customer_health_scores", "contact_id", "crm_contacts", "CASCADE"),
    ("customer_health_scores", "tenant_id", "tenants", "CASCADE"),
    ("customer_journey_stages", "tenant_id", "tenants", "CASCADE"),
    ("customer_journey_progress", "account_id", "crm_accounts", "SET NULL"),
    ("customer_journey_progress", "contact_id", "crm_contacts", "CASCADE"),
    ("customer_journey_progress", "journey_stage_id", "customer_journey_stages", "SET NULL"),
    ("customer_journey_progress", "tenant_id", "tenants", "CASCADE"),
    ("retention_campaigns", "base_campaign_id", "crm_campaigns", "SET NULL"),
    ("retention_campaigns", "tenant_id", "tenants", "CASCADE"),
    ("communication_insights", "contact_id", "crm_contacts", "CASCADE"),
    ("communication_insights", "tenant_id", "tenants", "CASCADE"),
)
# Two constraints on one column: the plain one checks, the other one deletes, and must be first.
OUT_OF_ORDER = """
  SELECT count(*) FROM pg_constraint plain
    JOIN pg_constraint deletes ON deletes.conrelid = plain.conrelid
     AND deletes.conname = replace(plain.conname, '_fkey', '_deletion')
    JOIN pg_trigger checked ON checked.tgconstraint = plain.oid
     AND checked.tgrelid = plain.confrelid
    JOIN pg_trigger deleted ON deleted.tgconstraint = deletes.oid
     AND deleted.tgrelid = deletes.confrelid AND deleted.tgtype = checked.tgtype
   WHERE plain.contype = 'f' AND right(plain.conname, 5) = '_fkey'
     AND deleted.tgname > checked.tgname
"""


def upgrade() -> None:
    connection = op.get_bind()
    connection.connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    add_references()
    if connection.exec_driver_sql(OUT_OF_ORDER).scalar():
        add_references()
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON {table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO keepwell_app")


def add_references() -> None:
    """Refer to the CRM's rows as specified, without ever refusing a deletion in the CRM.

    The specified constraint refuses to leave a row behind. So each column has a second one, which
    deletes the row or clears the column. PostgreSQL fires both by the name of their internal
    trigger, which ends in a growing number: the deleting one is created first. Names sort the
    same way, since pg_dump writes constraints by name and a restored backup has to behave alike.
    The numbers sort as text, so 100000 comes before 99999: if the count passed such a boundary
    just now, doing it once more puts them in order.
    """
    for suffix, actions in (("deletion", True), ("fkey", False)):
        for table, column, target, action in REFERENCES:
            name = f"{table}_{column}_{suffix}"
            deletion = f" ON DELETE {action}" if actions else ""
            op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
            op.execute(
                f"ALTER TABLE {table} ADD CONSTRAINT {name} "
                f"FOREIGN KEY ({column}) REFERENCES {target}(id){deletion}"
            )
