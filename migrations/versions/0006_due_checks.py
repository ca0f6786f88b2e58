"""Contacts to look at again, at the moment when time alone changes what rules say."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0006"
down_revision = "0004"

SQL = Path(__file__).parent.parent / "sql" / "0006_due_checks.sql"
TABLE = "keepwell.due_checks"
FUNCTION = "keepwell.tenants_with_due_checks()"


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY keepwell_tenant ON {TABLE} TO keepwell_app "
        f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
    )
    # the function behind the narrow door reads it for all tenants, as its owner
    op.execute(
        f"CREATE POLICY keepwell_owner_reads ON {TABLE} FOR SELECT TO CURRENT_USER USING (true)"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO keepwell_app")
    op.execute(f"REVOKE ALL ON FUNCTION {FUNCTION} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {FUNCTION} TO keepwell_app")
