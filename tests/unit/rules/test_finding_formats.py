"""Findings reach other programs with their place, level and fix."""

import pytest
from jsonschema import Draft202012Validator

from engine.errors import Finding
from rules.formats import github, sarif

ERROR = Finding(
    "E102", 'the event "no: show, really" is unknown', "my rules/a,b.yaml", 22, 16, 18,
    hint="appointment.no_show\n100% sure",
)  # fmt: skip
WARNING = Finding("L304", "rests too short", "a.yaml", 3, 5, severity="warning")
PLACELESS = Finding("E001", "the file can't be read", "a.yaml")

# The parts of the SARIF 2.1.0 schema that a log of findings uses.
REGION = {
    "type": "object",
    "required": ["startLine", "startColumn", "endColumn"],
    "properties": {
        name: {"type": "integer", "minimum": 1}
        for name in ("startLine", "startColumn", "endColumn")
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "type": "array",
                        "items": {
                            "required": ["message", "ruleId", "level", "locations"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "message": {"required": ["text"]},
                                "locations": {
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "properties": {"region": REGION},
                                            }
                                        }
                                    }
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def test_an_annotation_has_the_place_and_escapes_what_would_end_it() -> None:
    assert github([ERROR]) == [
        "::error file=my rules/a%2Cb.yaml,line=22,col=16,endColumn=34,title=E102::"
        'the event "no: show, really" is unknown%0Atry: appointment.no_show%0A100%25 sure'
    ]
    assert github([WARNING])[0].startswith("::warning file=a.yaml,line=3,col=5,")
    assert github([PLACELESS])[0] == "::error file=a.yaml,title=E001::the file can't be read"


@pytest.mark.parametrize("findings", [[], [ERROR], [ERROR, WARNING, PLACELESS, ERROR]])
def test_a_sarif_log_is_valid_and_points_to_its_codes(findings) -> None:
    log = sarif(findings, {"E102": "a name that the vocabulary lacks"}, "1.2.3")
    assert [e.message for e in Draft202012Validator(SARIF).iter_errors(log)] == []
    (run,) = log["runs"]
    codes = run["tool"]["driver"]["rules"]
    assert [codes[r["ruleIndex"]]["id"] for r in run["results"]] == [f.code for f in findings]


def test_a_sarif_result_says_what_where_and_the_fix() -> None:
    log = sarif([ERROR], {"E102": "a name that the vocabulary lacks"}, "1.2.3")
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "my%20rules/a%2Cb.yaml"
    assert place["region"] == {"startLine": 22, "startColumn": 16, "endColumn": 34}
    assert result["message"]["text"].endswith("Try: appointment.no_show\n100% sure")
    (code,) = log["runs"][0]["tool"]["driver"]["rules"]
    assert code["shortDescription"]["text"] == "a name that the vocabulary lacks"
