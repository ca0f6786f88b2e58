"""Vocabulary files, alone and included, and several files of one tenant."""

from pathlib import Path

import pytest

from engine.errors import InvalidRules
from rules import reference
from rules.compiled import merge_rule_sets
from rules.loader import read_rules
from rules.vocabulary import flat_vocabulary, load_vocabulary, read_vocabulary
from tests.factories.language import VOCABULARY, a_rule, load


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text("format: 1\n" + text, encoding="utf-8")
    return folder


def faults(path: Path) -> list[tuple[str, str, int]]:
    with pytest.raises(InvalidRules) as error:
        read_vocabulary(path)
    return [(f.code, f.file, f.line) for f in error.value.findings]


def test_an_included_vocabulary_is_part_of_it_and_can_be_stored_as_one_text(tmp_path) -> None:
    folder = write(
        tmp_path,
        base="events: {job.done: {label: job}}\nfields: {}\n",
        mine='include: [base.yaml]\nevents: {work: {label: "say \\"x\\": é", of: [job.done]}}\n',
    )
    found = read_vocabulary(folder / "mine.yaml")
    assert found.types("work") == ("job.done",)
    flat = flat_vocabulary(folder / "mine.yaml")
    assert load_vocabulary(flat, "mine.yaml") == found
    assert flat_vocabulary(folder / "base.yaml").startswith("format: 1\nevents: {job.done")


def test_a_shipped_vocabulary_is_included_by_its_name(tmp_path) -> None:
    folder = write(tmp_path, mine="include: [common.vocab.yaml]\n")
    assert "contact.age" in read_vocabulary(folder / "mine.yaml").fields


def test_files_and_groups_that_contain_themselves_are_refused(tmp_path) -> None:
    folder = write(
        tmp_path,
        a="include: [b.yaml]\nevents: {}\nfields: {}\n",
        b="include: [a.yaml]\nevents: {}\nfields: {}\n",
        ring="events:\n  x: {label: x, of: [y]}\n  y: {label: y, of: [x]}\nfields: {}\n",
        up="include: [../../etc/passwd]\n",
        gone="include: [nowhere.yaml]\n",
    )
    assert faults(folder / "a.yaml") == [("E141", "b.yaml", 2)]
    assert faults(folder / "ring.yaml") == [("E141", "ring.yaml", 4)]
    assert faults(folder / "up.yaml") == [("E014", "up.yaml", 2)]
    assert faults(folder / "gone.yaml") == [("E143", "gone.yaml", 2)]


def test_a_name_said_twice_differently_is_refused_and_alike_is_fine(tmp_path) -> None:
    base = "events: {job.done: {label: job}}\nfields: {n: {type: number, label: n}}\n"
    folder = write(
        tmp_path,
        base=base,
        same="include: [base.yaml]\n" + base,
        other="include: [base.yaml]\nfields: {n: {type: text, label: n}}\n",
    )
    assert set(read_vocabulary(folder / "same.yaml").fields) == {"n"}
    assert faults(folder / "other.yaml") == [("E142", "other.yaml", 3)]


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("{type: number, label: x, source: {kind: share, types: [visit]}}", "E105"),
        ("{type: number, label: x, source: {kind: count, types: [visit], every: 1 day}}", "E103"),
        ("{type: number, label: x, source: {kind: recall, types: [visit], every: 1 day}}", "E103"),
        ("{type: date, label: x, source: {kind: recall, types: [visit]}}", "E105"),
        ("{type: date, label: x, source: {kind: recall, types: [visit], every: 0 days}}", "E111"),
        ("{type: date, label: x, source: {kind: recall, types: [visit], every_from: y}}", "E102"),
        ("{type: text, label: x, source: {property: x}}", "E105"),
        ("{type: text, about: contract, label: x}", "E105"),
        ("{type: text, about: boat, label: x, source: {property: x}}", "E102"),
        ("{type: text, about: contract, label: x, source: {property: 'a b'}}", "E014"),
        (
            "{type: number, about: contract, label: x,"
            " source: {kind: count, types: [asset.installed]}}",
            "E108",
        ),
        ("{type: flag, label: x, one_of: [a]}", "E103"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(field, code) -> None:
    with pytest.raises(InvalidRules) as error:
        load_vocabulary(VOCABULARY + f"  x: {field}\n", "v.yaml")
    assert code in [finding.code for finding in error.value.findings]


# ------------------------------------------------------------------------------ several files


def test_files_of_one_tenant_become_one_rule_set() -> None:
    one = load(a_rule("- {field: contact.age, at_least: 1}", name="one"))
    two = load(a_rule("- {count: visit, in_last: 9 days, at_least: 1}", name="two"))
    merged = merge_rule_sets([one, two])
    assert [rule.id for rule in merged.rules] == ["one", "two"]
    assert merge_rule_sets([one]) is one
    assert merged.digest not in {one.digest, two.digest}
    assert merge_rule_sets([one, two]).digest == merged.digest


def test_files_that_clash_are_refused_with_every_clash() -> None:
    one = load(a_rule("- {field: contact.age, at_least: 1}"))
    other = load_vocabulary(VOCABULARY.replace("label: kept", "label: came"), "w.yaml")
    two = load(a_rule("- {field: contact.age, at_least: 1}"), words=other)
    with pytest.raises(InvalidRules) as error:
        merge_rule_sets([one, two])
    assert [(f.code, f.file) for f in error.value.findings] == [
        ("E013", "f.yaml"),
        ("E142", "w.yaml"),
    ]


def test_all_shipped_files_of_an_industry_and_the_common_ones_go_together() -> None:
    packs = Path(reference.__file__).parent / "packs"
    for industry in sorted(path for path in packs.iterdir() if path.name != "common"):
        files = [*industry.glob("*.yaml"), *(packs / "common").glob("*.yaml")]
        own = [f for f in files if not f.name.endswith(".vocab.yaml")]
        assert merge_rule_sets([read_rules(path) for path in own]).rules
