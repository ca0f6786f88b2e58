"""A contact gets the same decision alone, by durable-rules, and in a batch, by columns."""

from uuid import UUID

import numpy as np
import orjson
import pytest

from churn.model import HazardModel
from churn.train import train
from engine.profile import profile_from
from engine.reasons import Reason, code
from services.decision_rows import OUTCOME_FIELDS, Recorded, decision_rows, digest_of
from services.evaluate import evaluate
from services.playbook import Playbook
from tests.factories.events import NOON, make_event
from tests.factories.profiles import (
    HEALTHCARE,
    Person,
    make_person,
    make_playbook,
    profile_alone,
    profiles_together,
    random_person,
)
from tests.unit.churn.small_business import QUICK, make_business

BATCH = 500


@pytest.fixture(scope="module")
def people() -> list[Person]:
    rng = np.random.default_rng(12)
    return [random_person(rng, number) for number in range(BATCH)]


@pytest.fixture(scope="module")
def plain() -> Playbook:
    """The scorecard and arms that nobody has answered yet."""
    return make_playbook()


@pytest.fixture(scope="module")
def taught() -> Playbook:
    """A trained model and arms with outcomes."""
    business = make_business()
    trained = train(
        business.contacts, business.events, HEALTHCARE, as_of=business.until, settings=QUICK
    )
    return make_playbook(model=HazardModel(trained), observations=300)


def together(playbook: Playbook, people: list[Person]) -> list[Recorded]:
    profiles, frame = profiles_together(playbook, people)
    evaluated = evaluate(playbook, profiles, frame, as_of=NOON)
    return decision_rows(playbook, evaluated, as_of=NOON, trigger="run", run_id=None)


def alone(playbook: Playbook, person: Person) -> Recorded:
    profile = profile_alone(playbook, person)
    evaluated = evaluate(playbook, [profile], None, as_of=NOON)
    return decision_rows(playbook, evaluated, as_of=NOON, trigger="run", run_id=None)[0]


@pytest.mark.parametrize("which", ["plain", "taught"])
def test_a_contact_alone_gets_to_the_bit_the_decision_of_the_batch(which, people, request):
    playbook = request.getfixturevalue(which)
    batch = together(playbook, people)
    for person, expected in zip(people, batch, strict=True):
        single = alone(playbook, person)
        assert single.row == expected.row
        assert single.candidates == expected.candidates
        assert single.action == expected.action
    # the people are varied enough for the comparison to mean something
    told = {each.row["reason"] for each in batch}
    assert {"highest_value", "holdout", "no_rule_applies", "no_consent", "cooldown"} <= told
    assert len({each.row["action"] for each in batch}) > 3
    assert len({each.row["channel"] for each in batch}) == 4
    assert len({each.row["slot"] for each in batch}) > 2
    probabilities = [each.row["selection_probability"] for each in batch if each.row["action"]]
    assert len(set(probabilities)) > (20 if which == "taught" else 3)


def test_a_batch_in_another_order_and_size_gives_the_same_decisions(taught, people):
    whole = {each.row["contact_id"]: each for each in together(taught, people)}
    for part in (people[::-1], people[100:133], people[7:8]):
        for each in together(taught, list(part)):
            assert each == whole[each.row["contact_id"]]


def test_a_profile_decides_the_same_after_it_was_stored_as_json(taught, people):
    for person in people[:50]:
        profile = profile_alone(taught, person)
        text = orjson.dumps(profile.as_document())
        again = profile_from(orjson.loads(text))
        assert orjson.dumps(again.as_document()) == text
        rows = [
            decision_rows(
                taught,
                evaluate(taught, [each], None, as_of=NOON),
                as_of=NOON,
                trigger="api",
                run_id=None,
            )[0]
            for each in (profile, again)
        ]
        assert rows[0] == rows[1]


def test_every_candidate_is_recorded_with_a_verdict(taught, people):
    for each in together(taught, people):
        winners = [c for c in each.candidates if c["reason"] is None]
        assert len(winners) == (1 if each.candidates else 0)
        for candidate in each.candidates:
            assert (candidate["removed_by"] is None) == (candidate["reason"] is None)
        if winners:
            assert winners[0]["action"] == each.row["action"]
            assert winners[0]["position"] == 0
        assert [c["position"] for c in each.candidates] == list(range(len(each.candidates)))
        assert {c["decision_id"] for c in each.candidates} <= {each.row["id"]}


def test_the_digests_are_those_of_what_stands_in_the_row(taught, people):
    for each in together(taught, people[:30]):
        assert each.row["profile_digest"] == digest_of(each.row["profile"])
        outcome = {name: each.row[name] for name in OUTCOME_FIELDS}
        assert each.row["decision_digest"] == digest_of(outcome)


def test_ids_differ_by_what_was_decided_for_whom_when_and_why(plain):
    person = make_person()
    base = alone(plain, person).row["id"]
    profile = profile_alone(plain, person)
    evaluated = evaluate(plain, [profile], None, as_of=NOON)
    by_request = decision_rows(plain, evaluated, as_of=NOON, trigger="api", run_id=None)[0]
    other_person = alone(plain, make_person(1))
    flagged = alone(plain, make_person(row=dict(person.row) | {"do_not_email": True}))
    ids = {base, by_request.row["id"], other_person.row["id"], flagged.row["id"]}
    assert len(ids) == 4
    assert alone(plain, person).row["id"] == base


@pytest.mark.parametrize("which", ["plain", "taught"])
def test_a_contact_of_whom_nothing_is_known_is_left_alone(which, request):
    playbook = request.getfixturevalue(which)
    nobody = make_person(
        row=dict(make_person().row)
        | {
            "timezone": None, "first_name": None, "full_name": "", "email": None,
            "mobile_phone": None, "phone": None, "lead_status": None,
            "preferred_contact_method": None,
        },
        ledger=(),
    )  # fmt: skip
    single, batch = alone(playbook, nobody), together(playbook, [nobody])[0]
    assert single == batch
    assert single.row["action"] is None
    assert single.row["reason"] == code(Reason.NO_RULE_APPLIES)
    assert single.row["hazard_90d"] is None
    assert single.row["health_score"] is None
    assert single.row["profile"]["zone"] == "America/New_York"  # the practice's


def test_a_zone_that_does_not_exist_gives_way_to_the_practice_s(plain):
    for zone in (None, "", "Mars/Phobos"):
        person = make_person(row=dict(make_person().row) | {"timezone": zone})
        assert profile_alone(plain, person).zone == "America/New_York"
        assert profiles_together(plain, [person])[0][0].zone == "America/New_York"
    own = make_person(row=dict(make_person().row) | {"timezone": "Asia/Kolkata"})
    assert profile_alone(plain, own).zone == "Asia/Kolkata"


@pytest.mark.parametrize("which", ["plain", "taught"])
def test_an_empty_batch_has_no_decisions(which, request):
    playbook = request.getfixturevalue(which)
    assert together(playbook, []) == []
    evaluated = evaluate(playbook, [], None, as_of=NOON)
    assert decision_rows(playbook, evaluated, as_of=NOON, trigger="run", run_id=None) == []


def test_a_rule_that_is_not_checked_on_an_event_proposes_nothing_on_it(plain):
    missed = make_person(events=[make_event("appointment.no_show", NOON.replace(day=6))])
    profiles, frame = profiles_together(plain, [missed])
    on_its_event = evaluate(plain, profiles, None, as_of=NOON, trigger="appointment.no_show")
    on_another = evaluate(plain, profiles, None, as_of=NOON, trigger="message.opened")
    assert len(on_its_event.decisions.candidates.contact) == 1
    assert len(on_another.decisions.candidates.contact) == 0
    in_batch = evaluate(plain, profiles, frame, as_of=NOON, trigger="message.opened")
    assert len(in_batch.decisions.candidates.contact) == 0


def test_the_frame_of_features_is_not_changed_by_a_decision(plain, people):
    profiles, tables = profiles_together(plain, people[:20])
    before = tables.contacts.clone()
    evaluate(plain, profiles, tables, as_of=NOON)
    assert tables.contacts.equals(before)


def test_ids_of_a_run_begin_with_its_moment_and_lie_in_the_order_of_contacts(plain, people):
    recorded = together(plain, people)
    ids = [UUID(each.row["id"]) for each in recorded]
    assert {each.version for each in ids} == {8}
    assert {each.int >> 80 for each in ids} == {int(NOON.timestamp() * 1000)}
    by_id = sorted(recorded, key=lambda each: each.row["id"])
    beginnings = [each.row["contact_id"][:3] for each in by_id]
    assert beginnings == sorted(beginnings)
    assert len(set(ids)) == len(people)
