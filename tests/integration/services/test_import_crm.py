"""Importing a customer's file: each row once, whole or not at all, and every reject told."""

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import polars as pl
import pytest
from sqlalchemy import text

from engine.errors import InvalidInput, TenantNotFound
from engine.ids import TenantId
from services.import_crm import import_file
from services.import_rejects import RejectsFile
from store import tenants
from tests.factories.imports import CLINIC, GOOD, ImportingTenant

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


@pytest.fixture
def practice(database, tmp_path):
    return ImportingTenant(database, tmp_path)


async def test_one_row_yields_its_contact_its_account_and_its_events(practice):
    summary = await practice.take([GOOD])
    events, contacts, accounts, consents = await practice.everything()
    assert [(e[0], e[3].isoformat(), e[6]) for e in events] == [
        ("appointment.booked", "2021-07-01T13:30:00+00:00", "appointment:v1"),
        ("appointment.kept", "2021-07-05T16:00:00+00:00", "appointment:v1"),
    ]
    assert events[0][5] == events[1][3]
    assert all(event[4] == event[3] for event in events)
    ((contact, email, created_at, account, custom),) = contacts
    assert (email, created_at.isoformat()) == ("a@x.example", "2021-07-01T13:30:00")
    assert account == accounts[0][0]
    assert '"age": 40' in custom
    assert '"synthetic": ["mobile_phone"]' in custom
    assert [(c[0], c[1]) for c in consents] == [(contact, "sms")]
    assert summary.tenant_created
    assert summary.rows_rejected == 0


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ("p2,h1,,40,v2,2021-07-01,2021-06-30,came", "Day", "appointment before it was booked"),
        ("p2,h1,,40,v2,0001-01-01,2021-07-05,came", "Booked", "is not between the years 1900"),
        ("p2,h1,,40,v2,2021-02-30,2021-07-05,came", "Booked", "is not a time that exists"),
        ("p2,h1,,40,v2,,2021-07-05,came", "Booked", "is empty"),
        ("p2,h1,,-1,v2,2021-07-01,2021-07-05,came", "Age", "is below 0"),
        ("p2,h1,,NaN,v2,2021-07-01,2021-07-05,came", "Age", "is not a whole number"),
        ("p2,h1,,9e99,v2,2021-07-01,2021-07-05,came", "Age", "is not a whole number"),
        ("p2,h1,,40,v2,2021-07-01,2021-07-05,perhaps", "Status", "is none of 'came'"),
        ("p2,h1,nobody,40,v2,2021-07-01,2021-07-05,came", "Email", "is not an e-mail address"),
        (",h1,,40,v2,2021-07-01,2021-07-05,came", "Patient", "is empty"),
        ("p2,h1,,40,,2021-07-01,2021-07-05,came", "Visit", "is empty"),
        (f"{'p' * 501},h1,,40,v2,2021-07-01,2021-07-05,came", "Patient", "longer than 500"),
        (b"p\xff,h1,,40,v2,2021-07-01,2021-07-05,came", "", "not UTF-8"),
        ("p\x00,h1,,40,v2,2021-07-01,2021-07-05,came", "", "NUL"),
        ("p2,h1,,40", "", "has 4 columns"),
    ],
)  # fmt: skip
async def test_a_row_with_a_fault_stays_out_whole(practice, row, column, reason):
    summary = await practice.take([GOOD, row, GOOD.replace("v1", "v3")])
    events, contacts, accounts, _ = await practice.everything()
    assert {event[6] for event in events} == {"appointment:v1", "appointment:v3"}
    assert (len(contacts), len(accounts)) == (1, 1)
    assert (summary.rows_read, summary.rows_rejected) == (3, 1)
    ((line, at, why),) = practice.rejects()
    assert (line, at) == (3, column)
    assert reason in why


async def test_a_patient_seen_on_the_day_of_booking_comes_a_minute_later(practice):
    await practice.take(["p1,,,40,v1,2021-07-01 15:00,2021-07-01,planned"])
    ((kind, booked, starts),) = await practice.query(
        "SELECT type, occurred_at, starts_at FROM keepwell.events"
    )
    assert kind == "appointment.booked"
    assert (starts - booked).total_seconds() == 60


async def test_the_same_file_again_changes_nothing_and_says_so(practice):
    await practice.take([GOOD])
    before = await practice.everything()
    summary = await practice.take([GOOD])
    assert summary.done_before
    assert summary.rows_read == 0
    anew = await practice.take([GOOD], again=True)
    assert anew.rows_read == 1
    assert all(counts["inserted"] == 0 for counts in anew.counts.as_dict().values())
    assert await practice.everything() == before


async def test_a_file_that_has_grown_adds_only_what_is_new(practice):
    await practice.take([GOOD])
    summary = await practice.take([GOOD, GOOD.replace("v1", "v2").replace("07-01", "06-01")])
    counts = summary.counts.as_dict()
    assert counts["appointment.booked"] == {"inserted": 1, "already_there": 1}
    assert counts["contact"] == {"inserted": 0, "already_there": 2, "linked_by_email": 0}
    ((created_at,),) = await practice.query("SELECT created_at FROM crm_contacts")
    assert created_at.isoformat() == "2021-06-01T13:30:00"


async def test_rows_in_any_order_and_chunks_of_any_size_give_the_same_contacts(practice, database):
    rows = [
        f"p{n % 3},h{n % 2},,40,v{n},2021-0{1 + n * 5 % 7}-01 09:30,2021-08-05,came"
        for n in range(9)
    ]
    await practice.take(rows, chunk_rows=2)
    other = ImportingTenant(database, practice.folder)
    await other.take(rows[::-1], chunk_rows=100)
    sql = "SELECT mobile_phone, created_at FROM crm_contacts ORDER BY 1, 2"
    assert await practice.query(sql) == await other.query(sql)


async def test_a_contact_of_the_crm_with_the_same_address_is_adopted_and_left_as_it_is(practice):
    await practice.take([GOOD])
    async with practice.database.without_tenant() as connection:
        tenant_id = await tenants.get_tenant_id(connection, practice.slug)
    async with practice.database.transaction(tenant_id) as connection:
        await connection.execute(
            text(
                "INSERT INTO crm_contacts (tenant_id, first_name, email, created_at) "
                "VALUES (:t, 'Ana', 'ana@x.example', '2020-01-01')"
            ),
            {"t": tenant_id},
        )
    rows = [
        f"{patient},h1,ana@x.example,50,v{patient},2021-07-01 09:30,2021-07-05,came"
        for patient in ("p7", "p8")
    ]
    summary = await practice.take(rows, name="more.csv")
    assert summary.counts.as_dict()["contact"]["linked_by_email"] == 2
    found = await practice.query(
        "SELECT c.first_name, c.custom_fields::text, c.created_at::date::text, count(*) "
        "FROM keepwell.events e JOIN crm_contacts c ON c.id = e.contact_id "
        "WHERE c.email = 'ana@x.example' GROUP BY c.id"
    )
    assert found == [("Ana", "{}", "2020-01-01", 4)]
    granted = "SELECT count(*) FROM keepwell.consents"
    assert await practice.query(granted) == [(1,)]


async def test_what_comes_up_in_the_middle_of_new_rows_is_found(practice):
    def rows(*numbers):
        return [
            GOOD.replace("v1", f"v{n}").replace("p1", f"p{n}").replace("a@", f"a{n}@")
            for n in numbers
        ]

    await practice.take(rows(4, 5))
    # chunk by chunk: all new, all new, partly known, all known, all new, an address that is known
    later = [*rows(0, 1, 2, 3, 6, 4, 4, 5, 7, 8), *rows(9)[:1], rows(10)[0].replace("a10@", "a7@")]
    summary = await practice.take(later, name="later.csv", chunk_rows=2)
    counts = summary.counts.as_dict()
    assert counts["appointment.kept"] == {"inserted": 9, "already_there": 3}
    assert counts["contact"] == {"inserted": 8, "already_there": 3, "linked_by_email": 1}
    once = ImportingTenant(practice.database, practice.folder)
    await once.take(rows(4, 5))
    await once.take(later, name="later.csv", chunk_rows=100)
    shape = "SELECT type, external_id, contact_id IS NULL FROM keepwell.events ORDER BY 2"
    assert await practice.query(shape) == await once.query(shape)


async def test_what_the_tenant_has_set_is_never_overwritten(practice):
    await practice.take([GOOD])
    async with practice.database.without_tenant() as connection:
        tenant_id = await tenants.get_tenant_id(connection, practice.slug)
    async with practice.database.transaction(tenant_id) as connection:
        await tenants.save_settings(
            connection, tenant_id, {"timezone": "America/Chicago", "sender": {"name": "Ours"}}
        )
    await practice.take([GOOD.replace("v1", "v2")])
    async with practice.database.transaction(tenant_id) as connection:
        assert await tenants.get_settings(connection, tenant_id) == {
            "timezone": "America/Chicago",
            "sender": {"name": "Ours", "phone": "+1 202 555 0100"},
            "visit_events": ["appointment.kept"],
        }


async def test_a_tenant_that_nobody_describes_is_not_made(practice):
    nobody = CLINIC[CLINIC.index("source:") :]
    with pytest.raises(TenantNotFound, match="no section 'tenant'"):
        await practice.take([GOOD], mapping=nobody)


async def test_the_file_itself_is_never_taken_for_the_rejects_file(practice):
    practice.rejects_file = practice.folder / "visits.csv"
    with pytest.raises(InvalidInput):
        await practice.take([GOOD])
    practice.rejects_file = practice.folder / "letter.txt"
    practice.rejects_file.write_text("Dear all")
    with pytest.raises(InvalidInput, match="not a rejects file"):
        await practice.take([GOOD])
    assert practice.rejects_file.read_text() == "Dear all"


ORDERS = """\
tenant: {name: Shop}
source: shop
time_zone: Europe/London
contact_missing: anonymous
records:
  - kind: contact
    id: [Customer]
    fields: {created_at: At}
  - kind: event
    id: [$file, $row]
    contact: [Customer]
    fields:
      type: {cases: [{column: Price, below: 0, then: item.returned}, {then: item.purchased}]}
      occurred_at: At
      known_at: Known
      amount: {column: Price, times: Pieces, absolute: true}
"""
ORDERS_HEADER = "Customer,At,Known,Price,Pieces"


async def test_a_sale_without_a_customer_is_kept_without_a_contact(practice):
    rows = ["c1,2021-07-01 10:00,2021-07-09,1.005,3", ",2021-07-01 10:00,,-2.50,1"]
    await practice.take(rows, mapping=ORDERS, header=ORDERS_HEADER)
    found = await practice.query(
        "SELECT type, contact_id IS NULL, amount_cents, known_at::date::text "
        "FROM keepwell.events ORDER BY amount_cents DESC"
    )
    assert found == [
        ("item.purchased", False, 302, "2021-07-08"),  # midnight in London is the day before in UTC
        ("item.returned", True, 250, "2021-07-01"),
    ]


INVOICES = """\
tenant: {name: Shop}
time_zone: UTC
records:
  - kind: invoice
    id: [No]
    contact: [Customer]
    fields: {issued_at: At, amount: Total}
  - kind: activity
    id: [No]
    contact: [Customer]
    fields: {activity_type: {constant: email}, created_at: At}
  - kind: deal
    id: [No]
    contact: [Customer]
    fields: {name: {template: "Order {No}"}, deal_value: Total, created_at: At}
"""


async def test_what_refers_to_nobody_known_is_rejected_whole(practice):
    await practice.take(["c1,2021-07-01,,1,1"], mapping=ORDERS, header=ORDERS_HEADER)
    rows = ["1,c1,2021-07-02,10.10", "2,c9,2021-07-02,5", "3,c1,2021-07-03,-4"]
    for again in (False, True):
        summary = await practice.take(
            rows, mapping=INVOICES, header="No,Customer,At,Total", name="i.csv", again=again
        )
    assert practice.rejects() == [(3, "Customer", "no contact has this external id")]
    assert summary.rows_rejected == 1
    invoices = (
        "SELECT type, amount_cents, subject FROM keepwell.events WHERE source = 'm' ORDER BY 3"
    )
    assert await practice.query(invoices) == [
        ("invoice.issued", 1010, "invoice:1"),
        ("invoice.credited", 400, "invoice:3"),
    ]
    deals = "SELECT name, deal_value::text FROM crm_deals ORDER BY name"
    assert await practice.query(deals) == [("Order 1", "10.10"), ("Order 3", "-4.00")]
    # the CRM's trigger counted each activity once
    assert await practice.query(
        "SELECT total_interactions, last_contacted_at::date::text, last_contact_method "
        "FROM crm_contacts"
    ) == [(2, "2021-07-03", "email")]


async def test_a_reject_with_a_huge_value_does_not_stop_the_next_run(practice):
    path = practice.folder / "visits.parquet"
    patients = pl.DataFrame({"Patient": ["p1"], "Age": ["9" * 200_000]})
    patients.write_parquet(path)
    mapping = CLINIC[: CLINIC.index("records:")] + dedent(
        """\
        date_only: {}
        records:
          - kind: contact
            id: [Patient]
            custom_fields: {age: {column: Age, type: integer, max: 130}}
        """
    )
    order = replace(
        practice.order([], mapping=mapping.replace('date_only: {Day: "12:00"}\n', "")), file=path
    )
    await import_file(practice.database, order)
    RejectsFile(practice.rejects_file, keep=1).close()
    assert [line for line, _, _ in practice.rejects()] == [1]


async def test_tenants_do_not_see_each_other_s_imports(practice, tenant, database):
    await practice.take([GOOD])
    async with database.transaction(TenantId(tenant)) as connection:
        found = await connection.scalar(text("SELECT count(*) FROM keepwell.imports"))
    assert found == 0
