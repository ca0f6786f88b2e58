"""What the policy reads of a profile."""

import numpy as np
import orjson
import pytest

from engine.candidates import CONSENT_FLAGGED, CONSENT_GRANTED, CONSENT_NONE
from engine.features.subjects import SubjectRow
from engine.profile import (
    COMPLAINT_OPENED,
    COMPLAINT_RESOLVED,
    Profile,
    contacts_of,
    profile_from,
)
from tests.factories.contacts import contact_id, make_policy


def make_profile(number: int = 0, **changes: object) -> Profile:
    values: dict[str, object] = {
        "contact_id": contact_id(number),
        "zone": "America/New_York",
        "row": {"visits_365d": 3},
        "reach": ("email",),
        "consent": {"email:service": CONSENT_GRANTED, "sms:marketing": CONSENT_FLAGGED},
        "sends": (0, 1, 2),
        "recent_sends": 2,
        "last_sent_days": {"recall": 3.5},
    }
    return Profile(**(values | changes))  # type: ignore[arg-type]


def test_a_profile_comes_back_from_its_document_unchanged():
    profile = make_profile(row={"visits_365d": 3, "rate": 5.0, "flag": True, "text": "é\u2028"})
    text = orjson.dumps(profile.as_document())
    assert profile_from(orjson.loads(text)) == profile


def test_what_is_not_known_is_not_written_down():
    assert make_profile(row={"a": None, "b": 0}).as_document()["row"] == {"b": 0}


def test_columns_hold_what_the_profiles_hold():
    profiles = [make_profile(), make_profile(1, zone="UTC", reach=(), consent={})]
    contacts = contacts_of(profiles, np.zeros((2, 4)), make_policy(), np.full(2, np.nan))
    assert contacts.ids == [contact_id(0), contact_id(1)]
    assert [contacts.zones[z] for z in contacts.zone] == ["America/New_York", "UTC"]
    assert contacts.reachable.tolist() == [[True, False, False], [False, False, False]]
    assert contacts.consent[0, 0].tolist() == [CONSENT_NONE, CONSENT_GRANTED, CONSENT_NONE]
    assert contacts.consent[0, 1].tolist() == [CONSENT_NONE, CONSENT_NONE, CONSENT_FLAGGED]
    assert not contacts.consent[1].any()
    assert contacts.sends.tolist() == [[0, 1, 2], [0, 1, 2]]
    assert contacts.recent_sends.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("opened", "resolved", "is_open"),
    [(None, None, False), (3.0, None, True), (3.0, 4.0, True), (3.0, 3.0, False),
     (3.0, 1.0, False), (None, 1.0, False), (0.0, None, True)],
)  # fmt: skip
def test_a_complaint_is_open_until_one_was_resolved_after_it(opened, resolved, is_open):
    row = {COMPLAINT_OPENED: opened, COMPLAINT_RESOLVED: resolved}
    contacts = contacts_of(
        [make_profile(row=row)], np.zeros((1, 4)), make_policy(), np.full(1, np.nan)
    )
    assert contacts.open_complaint.tolist() == [is_open]


def test_a_rule_rests_for_each_subject_by_itself_and_with_all_its_offers():
    profile = make_profile(last_sent_days={"recall contact": 3.5, "renewal contract:7": 1.0})
    assert profile.days_since("recall") == 3.5
    assert profile.days_since("recall/call") == 3.5
    assert profile.days_since("renewal", "contract:7") == 1.0
    for rule, subject in (("other", "contact"), ("renewal", "contract:8"), ("renewal", "contact")):
        assert np.isnan(profile.days_since(rule, subject))


def test_open_subjects_come_back_as_they_were_stored():
    contract = SubjectRow("contract", "contract:7", {"contract: contract.visits_used": 2})
    profile = make_profile(subjects=(contract,))
    assert profile_from(orjson.loads(orjson.dumps(profile.as_document()))) == profile
    assert "subjects" not in make_profile().as_document()


def test_nobody_is_a_batch_too():
    contacts = contacts_of([], np.zeros((0, 4)), make_policy(), np.zeros(0))
    assert len(contacts.ids) == len(contacts.keys) == len(contacts.sends) == 0
