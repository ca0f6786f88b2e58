"""Coverage, conflicts and diff of `keepwell rules`, as a person or a script runs them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import rules
from cli.main import app

PACKS = Path(rules.__file__).parent / "packs"
CLINIC = (PACKS / "healthcare" / "retention.yaml").read_text()


def run(*arguments: object):
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    return tmp_path


def test_coverage_of_a_well_tested_file_is_complete_and_exits_with_0(folder) -> None:
    told = run("coverage", "clinic.yaml")
    assert told.exit_code == 0
    assert "clinic.yaml: 100.0 % of conditions seen both ways" in told.stdout


def test_coverage_names_file_and_line_of_a_condition_that_no_test_saw(folder) -> None:
    unseen = "{count: complaint.resolved, in_last: 9 days, at_least: 1, because: settled}"
    text = CLINIC.replace("    unless:\n", f"    unless:\n      - {unseen}\n", 1)
    (folder / "clinic.yaml").write_text(text)
    told = run("coverage", "clinic.yaml")
    assert told.exit_code == 1
    assert "warning L320: clinic.no-show-rescue" in told.stderr
    document = json.loads(run("coverage", "clinic.yaml", "--json").stdout)
    assert document["percent"]["conditions"] < 100
    (finding,) = [each for each in document["findings"] if each["code"] == "L320"]
    assert text.split("\n")[finding["line"] - 1].strip() == f"- {unseen}"
    assert run("coverage", "clinic.yaml", "--min", "90").exit_code == 0


def test_conflicts_across_files_exit_with_1_and_name_both_rules(folder) -> None:
    assert run("conflicts", "clinic.yaml").exit_code == 0
    (folder / "copy.yaml").write_text(CLINIC.replace("id: clinic.", "id: copy."))
    told = run("conflicts", "clinic.yaml", "copy.yaml")
    assert told.exit_code == 1
    assert "copy.risk-call means the same as clinic.risk-call" in told.stderr
    document = json.loads(run("conflicts", "clinic.yaml", "copy.yaml", "--json").stdout)
    duplicates = [each for each in document["findings"] if each["code"] == "L302"]
    assert {each["file"] for each in duplicates} == {"copy.yaml"}


def test_the_shipped_packs_are_covered_and_in_nobodys_way() -> None:
    assert run("coverage").exit_code == 0
    assert run("conflicts").exit_code == 0


def test_diff_takes_a_shipped_pack_by_name_and_says_what_changed(folder) -> None:
    assert run("diff", "healthcare/retention", "clinic.yaml").exit_code == 0
    (folder / "clinic.yaml").write_text(CLINIC.replace("value: 360.00 USD", "value: 90.00 USD"))
    told = run("diff", "healthcare/retention", "clinic.yaml")
    assert told.exit_code == 1
    assert told.stdout == "changed clinic.risk-call\n  value 360.00 → 90.00 USD\n"
    (rule,) = json.loads(run("diff", "healthcare/retention", "clinic.yaml", "--json").stdout)[
        "rules"
    ]
    assert rule["changes"] == ["value 360.00 → 90.00 USD"]
    assert rule["acts_differently"] is True


def test_a_file_that_is_not_there_is_named(folder) -> None:
    assert run("coverage", "nowhere.yaml").exit_code == 2
    assert run("diff", "nowhere", "clinic.yaml").exit_code in {1, 2}
