"""The authoring commands of `keepwell rules`, as a person or a script runs them."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import rules
from cli.main import app
from rules.codes import CODES

PACKS = Path(rules.__file__).parent / "packs"
RETAIL = PACKS / "retail" / "retention.yaml"
UNTIDY = RETAIL.read_text().replace("    check: [nightly]\n", "    check:   ['nightly']\n", 1)


def run(*arguments: object):
    return CliRunner().invoke(app, ["rules", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_fmt_lays_out_what_is_untidy_and_says_which_files(folder) -> None:
    (folder / "shop.yaml").write_text(UNTIDY)
    told = run("fmt", "shop.yaml", "--json")
    assert (told.exit_code, json.loads(told.stdout)["changed"]) == (0, ["shop.yaml"])
    assert "    check: [nightly]\n" in (folder / "shop.yaml").read_text()
    assert json.loads(run("fmt", ".", "--json").stdout)["changed"] == []


@pytest.mark.parametrize(("option", "exit_code"), [("--check", 1), ("--diff", 0)])
def test_fmt_can_look_without_changing(folder, option, exit_code) -> None:
    (folder / "shop.yaml").write_text(UNTIDY)
    told = run("fmt", "shop.yaml", option)
    assert told.exit_code == exit_code
    assert (folder / "shop.yaml").read_text() == UNTIDY
    assert ("-    check:   ['nightly']\n+    check: [nightly]" in told.stdout) == (
        option == "--diff"
    )


def test_fmt_leaves_a_file_that_it_cannot_read(folder) -> None:
    (folder / "shop.yaml").write_text("rules:\n\t- id: x\n")
    told = run("fmt", "shop.yaml", "--json")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["findings"][0]["code"] == "E002"
    assert (folder / "shop.yaml").read_text() == "rules:\n\t- id: x\n"


def test_new_makes_a_file_and_then_adds_to_it(folder) -> None:
    first = run(
        *("new", "shop.first", "--event", "invoice.issued", "--vocabulary", "retail", "--json")
    )
    assert json.loads(first.stdout) == {
        "rule": "shop.first", "file": "shop.yaml", "new_file": True
    }  # fmt: skip
    before = (folder / "shop.yaml").read_text()
    second = run("new", "shop.second", "--from", "shop.win-back")
    assert second.exit_code == 0
    after = (folder / "shop.yaml").read_text()
    assert after.startswith(before)
    tested = run("test", "shop.yaml", "--json")
    assert json.loads(tested.stdout)["failed"] == []
    assert run("fmt", "shop.yaml", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Shop First", "--event", "visit"), "no id for a rule"),
        (("shop.one", "--vocabulary", "retail"), "Which event?"),
        (("shop.one", "--event", "vist", "--vocabulary", "retail"), "visit"),
        (("shop.one", "--event", "visit", "--vocabulary", "retial"), "retail.vocab.yaml"),
        (("shop.one", "--from", "shop.nothing"), "no shipped rule"),
        (("shop.one", "--event", "visit", "--vocabulary", "retail", "--channel", "fax"), "fax"),
    ],
)
def test_new_says_what_lacks_and_writes_nothing(folder, arguments, said) -> None:
    told = run("new", *arguments)
    assert told.exit_code == 2
    assert said in told.stderr
    assert list(folder.iterdir()) == []


def test_new_adds_nothing_to_a_file_with_that_rule(folder) -> None:
    (folder / "mine.yaml").write_text(RETAIL.read_text())
    told = run("new", "shop.win-back", "--pack", "mine.yaml", "--from", "shop.win-back")
    assert told.exit_code == 1
    assert (folder / "mine.yaml").read_text() == RETAIL.read_text()


def test_docs_writes_a_page_for_people(folder) -> None:
    assert run("docs", RETAIL, "--out", "rules.html", "--title", "Our rules").exit_code == 0
    assert "<h1>Our rules</h1>" in (folder / "rules.html").read_text()
    assert run("docs", RETAIL).stdout.startswith("# What we do, and when\n")
    (chapter,) = json.loads(run("docs", RETAIL, "--json").stdout)
    assert chapter["rules"][0]["title"] == "Twice as long without a purchase as usual"
    assert run("docs", RETAIL, "--out", "rules.pdf").exit_code == 2


def test_schema_is_written_for_rules_and_for_vocabularies(folder) -> None:
    assert run("schema", "--vocabulary", "retail", "--out", "rules.json").exit_code == 0
    for schema in (
        json.loads((folder / "rules.json").read_text()),
        json.loads(run("schema", "--for", "vocabulary").stdout),
    ):
        Draft202012Validator.check_schema(schema)
    missing = run("schema", "--vocabulary", "retial")
    assert missing.exit_code == 2
    assert "retail.vocab.yaml" in missing.stderr


def test_the_only_vocabulary_of_a_folder_is_meant_if_none_is_named(folder) -> None:
    text = (PACKS / "retail" / "retail.vocab.yaml").read_text()
    (folder / "mine.vocab.yaml").write_text(text.replace("visits_730d", "purchases_730d"))
    names = [row["name"] for row in json.loads(run("fields", "--json").stdout)]
    assert "purchases_730d" in names
    (folder / "other.vocab.yaml").write_text(text)
    assert run("fields").exit_code == 2


def test_fields_tells_type_range_label_and_source(folder) -> None:
    rows = {
        r["name"]: r for r in json.loads(run("fields", "--vocabulary", "retail", "--json").stdout)
    }
    risk = rows["health.hazard_30d"]
    assert (risk["type"], risk["unit"], risk["allowed"]) == ("number", "share", "0 to 1")
    assert rows["visits_730d"]["source"] == "count of invoice issued in 730 days"
    assert rows["visits_730d"]["filled"] is None
    told = run("fields", "--vocabulary", "retail").stdout
    assert "visits_730d" in told
    assert "count of invoice issued in 730 days" in told  # piped, it is not cut to a width


def test_every_code_is_explained_with_a_wrong_and_a_right_example() -> None:
    for code, known in CODES.items():
        told = json.loads(run("explain-code", code.lower(), "--json").stdout)
        assert told == {
            "code": code, "title": known.title, "wrong": known.wrong, "right": known.right
        }  # fmt: skip
    assert known.title in run("explain-code", code).stdout
    assert run("explain-code", "X000").exit_code == 2


def test_check_speaks_to_other_programs_with_the_path_from_here(folder) -> None:
    (folder / "packs").mkdir()
    (folder / "packs" / "shop.yaml").write_text(
        RETAIL.read_text().replace("at_least: 2\n", "least: 2\n")
    )
    told = run("check", "packs", "--format", "github")
    assert told.exit_code == 1
    assert told.stdout.startswith("::error file=packs/shop.yaml,line=")
    log = json.loads(run("check", "packs", "--format", "sarif").stdout)
    (result, *_) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert (result["ruleId"], place["uri"]) == ("E103", "packs/shop.yaml")
    assert json.loads(run("check", "packs", "--format", "json").stdout)["findings"]
    assert json.loads(run("check", "packs", "--json").stdout)["findings"]


def test_a_fault_of_the_vocabulary_is_shown_in_the_vocabulary(folder) -> None:
    (folder / "shop.yaml").write_text(RETAIL.read_text())
    vocabulary = (PACKS / "retail" / "retail.vocab.yaml").read_text()
    (folder / "retail.vocab.yaml").write_text(vocabulary.replace("type: number", "type: numbr", 1))
    told = run("check", "shop.yaml", "--format", "github")
    assert told.stdout.startswith("::error file=retail.vocab.yaml,line=")


def test_a_file_that_cannot_be_read_ends_check_with_its_own_exit_code(folder) -> None:
    (folder / "shop.yaml").write_bytes(b"format: \xff\n")
    assert run("check", "shop.yaml").exit_code == 2
    assert run("check", "nothing.yaml").exit_code == 2
