"""What the application's role is given on the CRM's tables, and what keeps it to one tenant."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import ProgrammingError

from engine.errors import SchemaMismatch
from store.crm_contract import APP_MAY_ADD, APP_MAY_WRITE, COLUMNS_USED, CRM_TABLES

ROLE = "keepwell_app"
THIS_TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


class OwnerLacksRight(SchemaMismatch):
    """The role of the upgrade may not do what it takes."""

    code = "owner_lacks_right"


def ensure_role(connection: Connection) -> None:
    """Create the role that the application's logins are members of, unless it exists.

    Raises:
        OwnerLacksRight: it takes somebody with CREATEROLE.
    """
    try:
        with connection.begin_nested():
            connection.execute(
                text(f"""
                  DO $$ BEGIN
                    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
                      CREATE ROLE {ROLE} NOLOGIN NOSUPERUSER NOBYPASSRLS;
                    END IF;
                  EXCEPTION WHEN duplicate_object OR unique_violation THEN
                    NULL; -- an upgrade of another database of this server was faster
                  END $$
                """)
            )
    except ProgrammingError as error:
        raise OwnerLacksRight(
            f"The role {ROLE} does not exist and this owner may not create roles.",
            hint=f"Have an administrator run: CREATE ROLE {ROLE} NOLOGIN.",
        ) from error


def grant_access(connection: Connection) -> None:
    """Let the role use the CRM's tables that the product needs, for one tenant at a time.

    Nothing that was there is changed: policies and grants name our role alone.

    Raises:
        SchemaMismatch: a policy or default of the CRM needs something our role has no right to.
    """
    for table, tenant_column in CRM_TABLES.items():
        only = (
            f"USING ({tenant_column} = {THIS_TENANT}) WITH CHECK ({tenant_column} = {THIS_TENANT})"
        )
        connection.execute(text(f"CREATE POLICY keepwell_tenant ON {table} TO {ROLE} {only}"))
        # The CRM's policies for everybody hold for our role too, and permissive ones add up: a
        # restrictive one keeps another tenant's rows away whatever they allow.
        connection.execute(
            text(f"CREATE POLICY keepwell_only ON {table} AS RESTRICTIVE TO {ROLE} {only}")
        )
    # what an adopted CRM leaves unprotected would show every tenant's rows: only what we need
    protected = set(connection.execute(_PROTECTED).scalars())
    opened = [table for table in CRM_TABLES if table in protected or table in COLUMNS_USED]
    for table in opened:
        connection.execute(text(f"GRANT SELECT ON {table} TO {ROLE}"))
    for table in APP_MAY_WRITE:
        connection.execute(text(f"GRANT INSERT, UPDATE ON {table} TO {ROLE}"))
    for table in APP_MAY_ADD:
        connection.execute(text(f"GRANT INSERT ON {table} TO {ROLE}"))
    _grant_what_the_crm_calls(connection, opened)


_PROTECTED = text(
    "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
)

# What policies for everybody, defaults and generated columns of the CRM's tables refer to. They
# are evaluated with the rights of whoever runs the query.
_REFERRED = """
  SELECT d.refclassid, d.refobjid, c.relname AS crm_table, c.oid AS crm_oid
    FROM pg_depend d
    JOIN (SELECT 'pg_policy'::regclass AS kind, oid, polrelid AS relation
            FROM pg_policy WHERE polroles && ARRAY[0::oid]
          UNION ALL
          SELECT 'pg_attrdef'::regclass, oid, adrelid FROM pg_attrdef) used
      ON d.classid = used.kind AND d.objid = used.oid
    JOIN pg_class c ON c.oid = used.relation
   WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(:tables)
"""
_FUNCTIONS = text(f"""
  SELECT DISTINCT quote_ident(n.nspname) AS schema, p.oid::regprocedure::text AS thing
    FROM ({_REFERRED}) r JOIN pg_proc p ON r.refclassid = 'pg_proc'::regclass AND p.oid = r.refobjid
    JOIN pg_namespace n ON n.oid = p.pronamespace
""")
_SCHEMA_CLOSED = text(f"SELECT NOT has_schema_privilege('{ROLE}', :name, 'USAGE')")
_FUNCTIONS_CLOSED = text(f"""
  SELECT min(r.crm_table) AS crm_table, 'EXECUTE ON FUNCTION ' || p.oid::regprocedure AS wanted
    FROM ({_REFERRED}) r JOIN pg_proc p ON r.refclassid = 'pg_proc'::regclass AND p.oid = r.refobjid
   WHERE NOT has_function_privilege('{ROLE}', p.oid, 'EXECUTE') GROUP BY p.oid
""")
_TABLES_CLOSED = text(f"""
  SELECT min(r.crm_table) AS crm_table, 'SELECT ON ' || t.oid::regclass AS wanted
    FROM ({_REFERRED}) r
    JOIN pg_class t ON r.refclassid = 'pg_class'::regclass AND t.oid = r.refobjid
   WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f') AND t.oid <> r.crm_oid
     AND NOT has_any_column_privilege('{ROLE}', t.oid, 'SELECT') GROUP BY t.oid
""")


def _grant_what_the_crm_calls(connection: Connection, opened: Sequence[str]) -> None:
    tables = {"tables": sorted({*opened, *APP_MAY_ADD})}
    functions = connection.execute(_FUNCTIONS, tables).all()
    # 'public', where the tables are; and where their functions look things up by name when called
    for schema in sorted({"public", *(row.schema for row in functions)}):
        if connection.scalar(_SCHEMA_CLOSED, {"name": schema.strip('"')}):
            _try_grant(connection, f"USAGE ON SCHEMA {schema}")
    for row in connection.execute(_FUNCTIONS_CLOSED, tables).all():
        _try_grant(connection, row.wanted)
    closed = [
        *connection.execute(_FUNCTIONS_CLOSED, tables).all(),
        *connection.execute(_TABLES_CLOSED, tables).all(),
    ]
    if closed:
        raise SchemaMismatch(_told(closed), hint=_mending(closed))


def _try_grant(connection: Connection, right: str) -> None:
    try:
        with connection.begin_nested():
            connection.execute(text(f"GRANT {right} TO {ROLE}"))
    except ProgrammingError:
        return  # not ours to give; whether it is needed is looked at afterwards


def _told(closed: Sequence[Row[tuple[str, str]]]) -> str:
    faults = "; ".join(
        f"{row.crm_table}: its policies or defaults need {row.wanted}" for row in closed
    )
    return f"The role {ROLE} can't use the CRM's tables: {faults}."


def _mending(closed: Sequence[Row[tuple[str, str]]]) -> str:
    grants = " ".join(f"GRANT {row.wanted} TO {ROLE};" for row in closed)
    return f"Nothing was changed. As the owner of these, run: {grants} Then upgrade again."
