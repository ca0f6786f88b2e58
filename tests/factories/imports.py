"""A tenant that files are imported for, and what is then in its database."""

import csv
from uuid import uuid4

from sqlalchemy import text

from services.import_crm import ImportOrder, import_file
from services.import_mapping import read_mapping
from store import tenants

CLINIC = """\
tenant:
  name: Spring Street Dental
  industry: healthcare
  visit_events: [appointment.kept]
  sender: {name: Spring Street Dental, phone: "+1 202 555 0100"}
source: practice
time_zone: America/New_York
date_only: {Day: "12:00"}
records:
  - kind: account
    id: [Household]
    fields: {name: Household}
  - kind: contact
    id: [Patient]
    account: [Household]
    fields: {email: Email, created_at: Booked}
    custom_fields: {age: {column: Age, type: integer, min: 0}}
    synthetic: {mobile_phone: "+1 202 555 01{$two_digits}"}
    consents:
      - {channel: sms, purpose: treatment, basis: registration}
  - kind: appointment
    id: [Visit]
    contact: [Patient]
    fields:
      booked_at: Booked
      starts_at: Day
      status: {column: Status, values: {came: kept, missed: no_show, planned: open}}
"""
HEADER = "Patient,Household,Email,Age,Visit,Booked,Day,Status"
GOOD = "p1,h1,a@x.example,40,v1,2021-07-01 09:30,2021-07-05,came"


class ImportingTenant:
    """One tenant that files are imported for, and what is then in the database."""

    def __init__(self, database, folder):
        self.database = database
        self.folder = folder
        self.slug = f"import-{uuid4().hex[:10]}"
        self.rejects_file = folder / "rejects.csv"

    def order(self, rows, *, mapping=CLINIC, header=HEADER, name="visits.csv", **more):
        path = self.folder / name
        path.write_bytes(
            b"\n".join(r if isinstance(r, bytes) else r.encode() for r in (header, *rows))
        )
        found = mapping if not isinstance(mapping, str) else read_mapping(mapping, "m.yaml")
        return ImportOrder(path, found, self.slug, self.rejects_file, **more)

    async def take(self, rows, **more):
        return await import_file(self.database, self.order(rows, **more))

    async def query(self, sql):
        async with self.database.without_tenant() as connection:
            tenant_id = await tenants.get_tenant_id(connection, self.slug)
        async with self.database.transaction(tenant_id) as connection:
            return [tuple(row) for row in await connection.execute(text(sql))]

    async def everything(self):
        return [
            await self.query(sql)
            for sql in (
                "SELECT type, external_id, contact_id, occurred_at, known_at, starts_at, subject "
                "FROM keepwell.events ORDER BY 2",
                "SELECT id, email, created_at, account_id, custom_fields::text FROM crm_contacts "
                "ORDER BY id",
                "SELECT id, name FROM crm_accounts ORDER BY id",
                "SELECT contact_id, channel, effective_at FROM keepwell.consents ORDER BY 1, 2",
            )
        ]

    def rejects(self):
        if not self.rejects_file.exists():
            return []
        with self.rejects_file.open(newline="") as file:
            return [
                (int(row["line"]), row["column"], row["reason"]) for row in csv.DictReader(file)
            ]
