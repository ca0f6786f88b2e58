"""Numbers that events carry, and what is still open, answered or said about a subject."""

import json
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.features.contact import features_of
from engine.features.spec import Feature, SubjectKind
from engine.features.subjects import subjects_of
from tests.factories.events import NOON, make_event

ZONE = ZoneInfo("UTC")
SCORE = {"types": ("survey.answered",)}
CASE = {"types": ("complaint.opened",), "closed_by": ("complaint.closed",)}


def value(kind, *events, attributes=None, **spec):
    feature = Feature("x", kind, **spec)
    return features_of(attributes or {}, events, [feature], as_of=NOON, zone=ZONE)["x"]


def ago(days, kind, subject=None, **more):
    return make_event(kind, NOON - timedelta(days=days), subject=subject, **more)


def scored(days_ago, score):
    return ago(days_ago, "survey.answered", value=score)


def said(days_ago, subject="contract:1", kind="contract.renewed", **properties):
    return ago(days_ago, kind, subject, properties=json.dumps(properties))


def test_the_last_score_is_that_of_the_newest_answer_that_has_one() -> None:
    answers = [scored(1, None), scored(2, 4.0), scored(9, 9.0), scored(0.5, float("nan"))]
    assert value("last_value", *answers, **SCORE) == 4.0
    assert value("value_change", *answers, **SCORE) == -5.0
    assert value("value_change", answers[1], **SCORE) is None
    assert value("last_value", answers[0], **SCORE) is None


def test_a_mean_score_is_exact_and_does_not_depend_on_the_order() -> None:
    answers = [scored(days, score) for days, score in ((1, 0.1), (2, 0.2), (3, 0.3), (99, 9.0))]
    assert value("mean_value", *answers, **SCORE, window_days=60) == 0.2
    assert value("mean_value", *reversed(answers), **SCORE, window_days=60) == 0.2
    assert value("mean_value", *answers, **SCORE) == 2.4
    assert value("mean_value", answers[3], **SCORE, window_days=60) is None


def test_of_two_scores_at_one_moment_the_higher_is_the_newer() -> None:
    both = [scored(1, 7.0), scored(1, 3.0)]
    assert value("last_value", *both, **SCORE) == value("last_value", *reversed(both), **SCORE)
    assert value("last_value", *both, **SCORE) == 7.0


def test_a_complaint_is_open_until_something_closes_it() -> None:
    first, again = ago(20, "complaint.opened", "case:1"), ago(5, "complaint.opened", "case:1")
    other = ago(3, "complaint.opened", "case:2")
    closed = ago(10, "complaint.closed", "case:1")
    assert value("open_count", first, again, other, **CASE) == 2
    assert value("oldest_open_days", first, again, other, **CASE) == 20.0
    assert value("oldest_open_days", first, again, other, closed, **CASE) == 5.0
    assert value("open_count", first, closed, **CASE) == 0
    assert value("oldest_open_days", first, closed, **CASE) is None
    assert value("open_count", first, other, **CASE, window_days=10) == 1


def test_what_closes_a_complaint_at_its_own_moment_closes_it() -> None:
    opened, closed = ago(5, "complaint.opened", "case:1"), ago(5, "complaint.closed", "case:1")
    assert value("open_count", opened, closed, **CASE) == 0


def test_an_event_about_nothing_opens_nothing() -> None:
    assert value("open_count", ago(5, "complaint.opened"), **CASE) == 0
    assert (
        value(
            "open_count", ago(5, "complaint.opened", "case:1"), ago(1, "complaint.closed"), **CASE
        )
        == 1
    )


def test_the_usual_wait_is_from_question_to_first_answer_and_ignores_the_unanswered() -> None:
    ask = {"types": ("quote.sent",), "of_types": ("quote.accepted", "quote.declined")}
    events = [
        ago(50, "quote.sent", "quote:1"),
        ago(48, "quote.accepted", "quote:1"),
        ago(40, "quote.declined", "quote:1"),
        ago(30, "quote.sent", "quote:2"),
        ago(20, "quote.declined", "quote:2"),
        ago(90, "quote.sent", "quote:3"),
        ago(9, "quote.sent"),
        ago(8, "quote.accepted"),
        ago(7, "quote.sent", "quote:4"),
        ago(7, "quote.accepted", "quote:4"),
    ]
    assert value("median_latency_days", *events, **ask) == 6.0
    assert value("median_latency_days", *events, **ask, window_days=47) == 10.0
    assert value("median_latency_days", *events, **ask, window_days=20) == 10.0
    assert value("median_latency_days", *events, **ask, window_days=19) is None


@pytest.mark.parametrize(
    ("tags", "holds"),
    [("gold", True), ("old\ngold", True), ("golden", False), ("", False), (None, None)],
)
def test_a_list_holds_whole_items_only(tags, holds) -> None:
    assert value("has", attribute="tags", value="gold", attributes={"tags": tags}) is holds


def test_the_newest_word_on_a_property_stands_until_it_is_changed_or_cleared() -> None:
    older, newer = said(9, plan="basic", seats=2), said(5, plan="gold")
    silent, cleared = said(3, colour="red"), said(1, plan=None)
    assert value("property", older, newer, silent, property="plan") == "gold"
    assert value("property", older, newer, cleared, property="plan") is None
    assert value("property", older, newer, property="seats", value_type="number") == 2.0
    assert value("property", older, newer, property="seats", value_type="flag") is None
    only = {"property": "plan", "types": ("contract.started",)}
    assert value("property", older, newer, **only) is None


def test_what_is_no_json_object_says_nothing() -> None:
    older = said(9, plan="basic")
    for text in ("", "plan", "[1]", '{"plan"', None):
        newer = ago(1, "contract.renewed", "contract:1", properties=text)
        assert value("property", older, newer, property="plan") == "basic"


CONTRACT = SubjectKind("contract", ("contract.started", "contract.renewed"), ("contract.ended",))
OF_CONTRACT = (
    Feature("contract: visits", "count", ("visit",), scope="contract"),
    Feature("contract: ends", "days_until_date", property="ends_on", scope="contract"),
    Feature("contract: recall", "days_until_recall", ("visit",), attribute="m", scope="contract"),
    Feature("visits", "count", ("visit",)),
)


def open_contracts(*events, attributes=None):
    found = subjects_of(
        events, [CONTRACT], OF_CONTRACT, as_of=NOON, zone=ZONE, attributes=attributes
    )
    return {one.subject: dict(one.row) for one in found}


def test_each_open_contract_is_seen_on_its_own() -> None:
    found = open_contracts(
        said(90, "contract:2", "contract.started", ends_on="2026-03-20"),
        said(80, "contract:1", "contract.started", ends_on="2026-04-09"),
        ago(7, "visit", "contract:1"),
        ago(9, "visit", "contract:1"),
        ago(1, "visit", "contract:3"),  # never started
        ago(1, "visit"),
        said(5, "asset:1", "contract.started"),
        said(5, "contract:9", "contract.started"),
        ago(5, "contract.ended", "contract:9"),
        attributes={"m": 1},
    )
    assert list(found) == ["contract:1", "contract:2"]
    assert found["contract:1"] == {
        "contract: visits": 2,
        "contract: ends": 30,
        "contract: recall": 24,  # 3 March and one month is 3 April
    }
    assert found["contract:2"]["contract: visits"] == 0
    assert found["contract:2"]["contract: ends"] == 10


def test_a_contract_renewed_after_its_end_is_open_again() -> None:
    ended = [said(90, kind="contract.started"), ago(30, "contract.ended", "contract:1")]
    assert open_contracts(*ended) == {}
    assert list(open_contracts(*ended, said(29))) == ["contract:1"]
    assert open_contracts(*ended, said(-1)) == {}


def test_another_members_contract_is_not_the_contacts() -> None:
    theirs = ago(5, "contract.started", "contract:1", member="sister")
    assert open_contracts(theirs) == {}


def test_features_of_a_contact_leave_those_of_its_subjects_out() -> None:
    assert features_of({}, (), OF_CONTRACT, as_of=NOON, zone=ZONE) == {"visits": 0}
