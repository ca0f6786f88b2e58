"""The shipped packs and policy numbers hold what they promise."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import rules
from engine.errors import InvalidRules
from engine.features.columns import feature_columns
from engine.policy.settings import Cap
from rules.check import check
from rules.compiled import CompiledRules, compile_rules
from rules.examples import run_examples
from rules.loader import load_rules, read_rules
from rules.policy_data import SHIPPED, read_policy
from tests.factories.events import NOON, contact_frame, event_frame, make_event

PACKS = Path(rules.__file__).parent / "packs"
FILES = sorted(path for path in PACKS.rglob("*.yaml") if not path.name.endswith(".vocab.yaml"))
CLINIC = PACKS / "healthcare" / "retention.yaml"
NAMES = [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_in_file_test_of_a_pack_passes_on_all_matchers(path) -> None:
    results = run_examples(read_rules(path))
    assert [f"{r.rule_id} / {r.name}: {r.message}" for r in results if not r.passed] == []


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_pack_is_without_warnings_and_tests_every_rule_both_ways(path) -> None:
    rule_set = read_rules(path)
    assert [f"{f.line}: {f.message}" for f in check(rule_set)] == []
    for rule in rule_set.rules:
        assert {test.expect for test in rule.tests} == {"fires", "quiet"}, rule.id


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_condition_of_a_pack_is_seen_true_and_false_in_its_tests(path) -> None:
    seen: dict[tuple[str, str], set[bool]] = {}
    for result in run_examples(read_rules(path)):
        for verdict in result.verdicts:
            seen.setdefault((verdict.rule_id, verdict.text), set()).add(verdict.held)
    assert [place for place, ways in seen.items() if len(ways) < 2] == []


def compiled(**changes: str) -> CompiledRules:
    text = CLINIC.read_text(encoding="utf-8")
    for old, new in changes.items():
        text = text.replace(f"{old}: live", f"{old}: {new}")
    return compile_rules(load_rules(text, "clinic.yaml", read_rules(CLINIC).vocabulary))


def test_draft_rules_match_nothing_and_shadow_rules_are_flagged() -> None:
    assert compiled(status="draft").rule_ids == ()
    assert set(compiled(status="shadow").shadow) == {True}
    assert set(compiled().shadow) == {False}


ROW = {
    "health.hazard_60d": 0.9,
    "field visits_365d": 4,
    "days since last visit": 70.0,
    "count appointment.booked in 30 days": 0,
    "count complaint.opened in 30 days": 0,
    "count complaint.opened in 90 days": 0,
}


def test_a_trigger_leaves_out_rules_that_are_not_checked_on_it() -> None:
    clinic = compiled()
    both = {"clinic.risk-call", "clinic.reactivation"}
    assert clinic.match_one(ROW) == both
    assert clinic.match_one(ROW, "nightly") == both
    assert clinic.match_one(ROW, "appointment.no_show") == frozenset()
    frame = pl.DataFrame([ROW, ROW | {"health.hazard_60d": 0.1}])
    assert clinic.match_frame(frame, "appointment.no_show").sum() == 0
    matched = clinic.match_frame(frame)
    assert matched.dtype == np.bool_
    assert matched.shape == (2, 7)
    assert matched[0].sum() == 2
    assert [clinic.rule_ids[n] for n in np.flatnonzero(matched[1])] == ["clinic.reactivation"]


def test_an_explanation_has_every_condition_with_its_value() -> None:
    complained = ROW | {"count complaint.opened in 30 days": 1}
    verdicts = compiled().explain_one(complained, "clinic.risk-call")
    assert [(v.label, v.value, v.held, v.unless) for v in verdicts] == [
        ("field health.hazard_60d", 0.9, True, False),
        ("field visits_365d", 4, True, False),
        ("field next_booking_in_days", None, True, False),
        ("unless complaint.opened", 1, True, True),
    ]
    assert verdicts[-1].because == "a person is dealing with a complaint"
    assert "clinic.risk-call" not in compiled().match_one(complained)


def test_a_pack_runs_from_events_to_matches_as_columns() -> None:
    clinic = compiled()
    missed = make_event("appointment.no_show", NOON.replace(day=5))
    booked = make_event("appointment.booked", NOON.replace(day=6))
    table = feature_columns(
        contact_frame({"missed": "America/New_York", "rebooked": None, "new": "UTC"}),
        event_frame({"missed": [missed], "rebooked": [missed, booked]}),
        clinic.features,
        as_of=NOON,
    )
    matched = clinic.match_frame(table)
    assert {
        (table["contact_id"][int(c)], clinic.rule_ids[int(r)]) for c, r in np.argwhere(matched)
    } == {("missed", "clinic.no-show-rescue")}


def test_the_shipped_policy_stays_inside_the_law_and_names_its_sources() -> None:
    policy = read_policy()
    assert policy.widest_window == (8 * 60, 21 * 60)
    assert policy.settings.windows[6] is None
    assert policy.settings.windows[5] == (10 * 60, 17 * 60)
    assert Cap("treatment", 1, 1) in policy.settings.caps
    assert Cap("treatment", 7, 3) in policy.settings.caps
    assert policy.settings.holdout_share == 0.05
    assert all(source.source and source.as_of for source in policy.sources)


def copied_policy(folder: Path, name: str, old: str, new: str) -> Path:
    for path in SHIPPED.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if path.name == name:
            assert old in text
            text = text.replace(old, new)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


def test_another_number_is_another_policy_and_another_comment_is_not(tmp_path) -> None:
    digest = read_policy().settings.digest
    same = copied_policy(tmp_path, "fatigue.yaml", "format: 1", "# a comment\nformat: 1")
    assert read_policy(same).settings.digest == digest
    changed = copied_policy(tmp_path, "experiment.yaml", "holdout: 0.05", "holdout: 0.1")
    assert read_policy(changed).settings.digest != digest


@pytest.mark.parametrize(
    ("name", "old", "new", "code"),
    [
        ("quiet_hours.yaml", "mon: 10:00-18:00", "mon: 07:00-18:00", "E111"),
        ("quiet_hours.yaml", "mon: 10:00-18:00", "mon: late", "E124"),
        ("frequency_caps.yaml", "in: 3 days", "in: a while", "E120"),
        ("experiment.yaml", "holdout: 0.05", "holdout: 5", "E111"),
        ("experiment.yaml", "as_of: 2026-11-01\n", "", "E011"),
    ],
)
def test_a_policy_number_that_makes_no_sense_is_refused(tmp_path, name, old, new, code) -> None:
    with pytest.raises(InvalidRules) as error:
        read_policy(copied_policy(tmp_path, name, old, new))
    assert code in [finding.code for finding in error.value.findings]
