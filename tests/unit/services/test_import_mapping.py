"""A mapping file says what is wrong with it, all at once, with the place and the way out."""

from pathlib import Path

import pytest

from engine.errors import InvalidInput, InvalidMapping
from services.import_mapping import check_columns, list_mappings, load_mapping, read_mapping

GOOD = """\
time_zone: Europe/London
records:
  - kind: contact
    id: [Id]
    fields: {email: Mail}
"""


def findings(text):
    with pytest.raises(InvalidMapping) as raised:
        read_mapping(text, "m.yaml")
    return [(f.line, f.column, f.message, f.hint) for f in raised.value.findings]


@pytest.mark.parametrize("name", list_mappings())
def test_every_mapping_that_is_shipped_is_valid(name):
    assert load_mapping(name).records


def test_a_name_that_is_no_mapping_lists_those_there_are():
    with pytest.raises(InvalidInput, match=r"clinic, .*shop, shop_lines"):
        load_mapping("clinik")


def test_a_column_that_the_file_lacks_gets_the_nearest_name_and_the_columns_found():
    mapping = read_mapping(GOOD, "m.yaml")
    with pytest.raises(InvalidMapping) as raised:
        check_columns(mapping, ["Id", "Maill", "Phone"])
    (finding,) = raised.value.findings
    assert (finding.file, finding.line, finding.column) == ("m.yaml", 5, 21)
    assert "Id, Maill, Phone" in raised.value.message
    assert finding.hint == "Maill"


@pytest.mark.parametrize(
    ("wrong", "right", "place", "message", "hint"),
    [
        ("time_zone:", "timezone: UTC\ntime_zone:", (1, 1), "timezone", "time_zone"),
        ("Europe/London", "Europe/Londn", (1, 12), "no time zone", "Europe/London"),
        ("kind: contact", "kind: contcat", (3, 11), "contcat", "contact"),
        ("{email:", "{emial:", (5, 14), "emial", "email"),
        ("id: [Id]", "idd: [Id]", (4, 5), "idd", "id"),
        (
            "fields: {email: Mail}",
            'synthetic: {email: "x-{Id}@gmail.com"}',
            (5, 24),
            "nobody can own",
            "@shop.example",
        ),
        (
            "fields: {email: Mail}",
            'synthetic: {phone: "+1 415 555 2671"}',
            (5, 24),
            "nobody can own",
            "555",
        ),
        (
            "fields: {email: Mail}",
            "fields: {email: {column: Mail, constant: a@b.example}}",
            (5, 21),
            "one source",
            "",
        ),
    ],
)
def test_a_fault_has_its_place_and_its_fix(wrong, right, place, message, hint):
    found = findings(GOOD.replace(wrong, right))
    at_place = [finding for finding in found if finding[:2] == place]
    assert at_place, found
    assert message in at_place[0][2]
    assert hint in at_place[0][3]


def test_all_faults_come_at_once_in_file_order():
    text = GOOD.replace("London", "Londn").replace("email", "emial")
    assert [line for line, *_ in findings(text)] == [1, 5]


def test_words_that_yaml_would_read_as_truth_stay_words():
    mapping = read_mapping(
        "time_zone: UTC\nrecords:\n  - kind: appointment\n    id: [Id]\n    fields:\n"
        "      booked_at: A\n      starts_at: B\n      status: {column: C, values: {No: kept}}\n",
        "m.yaml",
    )
    assert mapping.records[0].fields["status"].values == (("No", "kept"),)


def test_the_example_in_the_manual_is_a_valid_mapping():
    manual = Path(__file__).parents[3] / "docs" / "importing.md"
    example = manual.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    assert [record.kind for record in read_mapping(example, "manual.yaml").records] == [
        "account",
        "contact",
        "appointment",
    ]


IMPLIED = """\
tenant:
  name: Clinic
  implied_consent:
    {pair}: {basis}
"""


def test_a_tenant_may_rely_on_a_relationship_instead_of_records():
    mapping = read_mapping(IMPLIED.format(pair="email:treatment", basis="patient") + GOOD, "m.yaml")
    assert mapping.tenant.settings["implied_consent"] == {"email:treatment": "patient"}
    (fault,) = findings(IMPLIED.format(pair="email:promotion", basis="patient") + GOOD)
    assert fault[:2] == (4, 5)
    assert "email:promotion" in fault[2]
