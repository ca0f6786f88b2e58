"""Adopt the CRM that is there, or create the same tables in an empty database."""

from pathlib import Path

from alembic import op

from store.crm_access import ensure_role, grant_access
from store.crm_contract import CRM_TABLES, check_adopted, crm_tables_present

revision = "0001"
down_revision = None

SQL = Path(__file__).parent.parent / "sql" / "0001_crm.sql"


def upgrade() -> None:
    connection = op.get_bind()
    if crm_tables_present(connection):
        check_adopted(connection)
    else:
        connection.connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
        for table in CRM_TABLES:
            op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    ensure_role(connection)
    grant_access(connection)
