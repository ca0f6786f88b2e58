"""Adopt the CRM that is there, or create the same tables in an empty database."""

from pathlib import Path

from alembic import op

from store.crm_contract import APP_MAY_WRITE, CRM_TABLES, check_adopted, crm_tables_present

revision = "0001"
down_revision = None

SQL = Path(__file__).parent.parent / "sql" / "0001_crm.sql"
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    connection = op.get_bind()
    present = crm_tables_present(connection)
    if present:
        check_adopted(connection)
    else:
        connection.connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    op.execute("""
        DO $$ BEGIN
          IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'keepwell_app') THEN
            CREATE ROLE keepwell_app NOLOGIN NOSUPERUSER NOBYPASSRLS;
          END IF;
        END $$
    """)
    for table, tenant_column in CRM_TABLES.items():
        if not present:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        # an adopted CRM's own policies stay; this one is for our role alone
        op.execute(
            f"CREATE POLICY keepwell_tenant ON {table} TO keepwell_app "
            f"USING ({tenant_column} = {TENANT}) WITH CHECK ({tenant_column} = {TENANT})"
        )
        op.execute(f"GRANT SELECT ON {table} TO keepwell_app")
    for table in APP_MAY_WRITE:
        op.execute(f"GRANT INSERT, UPDATE ON {table} TO keepwell_app")
