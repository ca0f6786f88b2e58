"""Evidence of the bandits by day, delays of rewards, and what businesses lend each other."""

from pathlib import Path

from alembic import op

from store.crm_access import THIS_TENANT

revision = "0011"
down_revision = "0009"

SQL = Path(__file__).parent.parent / "sql" / "0011_learning.sql"
TABLES = ("keepwell.learned_evidence", "keepwell.lent_counts")
FUNCTION = "keepwell.borrowed_counts(text)"


def upgrade() -> None:
    op.get_bind().connection.driver_connection.execute(SQL.read_text(encoding="utf-8"))
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY keepwell_tenant ON {table} TO keepwell_app "
            f"USING (tenant_id = {THIS_TENANT}) WITH CHECK (tenant_id = {THIS_TENANT})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO keepwell_app")
    # the function behind the narrow door adds up all tenants, as its owner
    op.execute(
        "CREATE POLICY keepwell_owner_reads ON keepwell.lent_counts "
        "FOR SELECT TO CURRENT_USER USING (true)"
    )
    op.execute(f"REVOKE ALL ON FUNCTION {FUNCTION} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {FUNCTION} TO keepwell_app")
