"""The packs of a practice together: what one patient, household or plan gets, and what nobody does.

The tests inside the packs show each rule alone; these show that the rules leave no gap and do not
talk over each other.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import rules
from engine.features.contact import HistoryEvent, features_of
from engine.features.subjects import subjects_of
from engine.features.wall_clock import zone_of
from rules.compiled import CompiledRules, compile_rules
from rules.loader import read_rules
from rules.merged import merge_rule_sets
from tests.factories.events import make_event

FOLDER = Path(rules.__file__).parent / "packs" / "healthcare"
FILES = sorted(path for path in FOLDER.glob("*.yaml") if not path.name.endswith(".vocab.yaml"))
ZONE = zone_of("UTC")
CLEANED = datetime(2025, 12, 1, 10, tzinfo=UTC)
DUE = datetime(2026, 6, 1, 10, tzinfo=UTC)
PRESENTED = datetime(2026, 3, 2, 10, tzinfo=UTC)


@cache
def practice() -> CompiledRules:
    """All healthcare packs as one tenant has them."""
    return compile_rules(merge_rule_sets([read_rules(path) for path in FILES]))


def proposals(events: list[HistoryEvent], as_of: datetime, **attributes: object) -> frozenset[str]:
    """Rules about the contact that apply, clinic.* left out: they were written for a clinic without
    recalls and have their own tests."""
    named = {name.replace("__", "."): value for name, value in attributes.items()}
    row = features_of(named, events, practice().features, as_of=as_of, zone=ZONE)  # type: ignore[arg-type]
    return frozenset(r for r in practice().reference(row) if r.startswith("healthcare."))


def plan_proposals(events: list[HistoryEvent], as_of: datetime) -> frozenset[str]:
    row = features_of({}, events, practice().features, as_of=as_of, zone=ZONE)
    kinds = [kind for kind in practice().subject_kinds if kind.name == "plan"]
    (plan,) = subjects_of(events, kinds, practice().features, as_of=as_of, zone=ZONE)
    return practice().reference({**row, **plan.row}, kind="plan")


def test_a_cleaning_has_one_step_for_each_day_from_a_month_before_to_a_year_after() -> None:
    cleaned = [make_event("hygiene.done", CLEANED)]
    expected = {
        "healthcare.recall-hygiene-soon": range(-30, 0),
        "healthcare.recall-hygiene-due": range(30),
        "healthcare.recall-hygiene-overdue-30": range(30, 90),
        "healthcare.recall-hygiene-overdue-90": range(90, 180),
        "healthcare.recall-hygiene-overdue-180": range(180, 361),
    }
    for day in range(-40, 370):
        step = {rule for rule, days in expected.items() if day in days}
        assert proposals(cleaned, DUE + timedelta(days=day)) == step, day


def test_a_plan_is_asked_about_once_at_each_step_and_left_alone_after_half_a_year() -> None:
    presented = [make_event("plan.presented", PRESENTED, subject="plan:1")]
    steps: dict[str, list[int]] = {}
    for day in range(200):
        # an hour past the whole day, where no two steps meet
        at = PRESENTED + timedelta(days=day, hours=1)
        for rule in plan_proposals(presented, at):
            steps.setdefault(rule.removeprefix("healthcare.plans-"), []).append(day)
    assert {rule: (days[0], days[-1], len(days)) for rule, days in steps.items()} == {
        "step-14": (14, 29, 16),
        "step-30": (30, 59, 30),
        "step-90": (90, 179, 90),
    }


def family(*cleaned_days_before_due: int) -> list[HistoryEvent]:
    """Cleanings of the contact (first) and of the other members of the account."""
    return [
        make_event(
            "hygiene.done",
            CLEANED - timedelta(days=days),
            member=None if number == 0 else f"member-{number}",
        )
        for number, days in enumerate(cleaned_days_before_due)
    ]


def test_a_household_with_roles_gets_one_message_and_only_the_guarantor_gets_it() -> None:
    father = proposals(family(0, 5, 10), DUE, contact__household_role="guarantor")
    assert father == {"healthcare.families-recall", "healthcare.families-call"}
    assert proposals(family(0, 5, 10), DUE, contact__household_role="member") == frozenset()


def test_a_member_who_is_due_alone_is_asked_in_person() -> None:
    alone = family(0, -60, -90)
    for role in ("guarantor", "member"):
        assert proposals(alone, DUE, contact__household_role=role) == {
            "healthcare.recall-hygiene-due"
        }


def test_a_household_without_roles_is_asked_one_by_one() -> None:
    assert proposals(family(0, 5, 10), DUE) == {"healthcare.recall-hygiene-due"}


def test_whoever_has_booked_is_not_asked_to_book() -> None:
    asking = {
        rule.id.split("/")[0]
        for rule in practice().rule_set.rules
        if rule.subject == "contact" and rule.then.goal.event == "appointment.booked"
    }
    # about others than the contact's own next visit
    asking -= {"healthcare.families-recall", "healthcare.families-call"}
    asking -= {"healthcare.insurance-changed"}  # steps back for a visit within a fortnight only
    booked = make_event(
        "appointment.booked",
        DUE - timedelta(days=100),
        subject="appointment:9",
        starts_at=DUE + timedelta(days=2000),
    )
    history = [
        make_event("appointment.kept", CLEANED),
        make_event("hygiene.done", CLEANED),
        make_event("chronic_review.done", CLEANED),
        booked,
    ]
    met: set[str] = set()
    for day in range(-60, 900, 5):
        at = DUE + timedelta(days=day)
        row = features_of({}, history, practice().features, as_of=at, zone=ZONE)
        assert not {r.split("/")[0] for r in practice().reference(row)} & asking, day
        without = features_of({}, history[:-1], practice().features, as_of=at, zone=ZONE)
        met |= practice().reference(without) & asking
    assert len(met) >= 8  # the history does make them ask where nothing is booked


def test_no_two_rules_win_a_tie_by_chance() -> None:
    seen: dict[int, str] = {}
    for rule in practice().rule_set.rules:
        family_of_offers = rule.id.split("/")[0]  # offers of one rule exclude each other
        assert seen.setdefault(rule.then.priority, family_of_offers) == family_of_offers


def test_marketing_and_pure_calls_start_in_shadow_and_reminders_do_not() -> None:
    # live from the start, with figures of a real clinic behind them
    first = {rule.id for rule in read_rules(FOLDER / "retention.yaml").rules}
    desk_note = "healthcare.recall-images-with-visit"  # nobody is called
    wishes_calls = "healthcare.recall-exam-overdue/call"  # has asked to be reached by phone
    for rule in practice().rule_set.rules:
        if rule.id in first | {desk_note, wishes_calls}:
            continue
        careful = rule.then.purpose == "marketing" or rule.then.channels == ("call_task",)
        assert (rule.status == "shadow") == careful, rule.id


def test_money_never_travels_as_treatment_or_by_text_message() -> None:
    about_money = read_rules(FOLDER / "insurance.yaml").rules
    assert len(about_money) == 4
    for rule in about_money:
        assert rule.then.purpose != "treatment", rule.id
        assert "sms" not in rule.then.channels, rule.id
