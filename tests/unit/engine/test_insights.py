"""Insights: a contact's own answers, shrunk to everybody's."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from engine.insights import ANSWER_DAYS, MESSAGE_SCHEMA, insights

NOW = datetime(2026, 3, 10, 3, tzinfo=UTC)
HOURS = (10, 18)
SILENT, TEXTER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
CONTACTS = pl.DataFrame(
    {"contact_id": [SILENT, TEXTER], "timezone": ["America/New_York", "America/New_York"]}
)


def message(contact=TEXTER, channel="sms", days=60.0, answered=False, variant="brief"):
    """One at 16:30 New York time (winter)."""
    sent = (NOW - timedelta(days=days)).replace(hour=21, minute=30)
    at = sent + timedelta(hours=2) if answered else None
    return (contact, channel, "service", variant, sent, False, at)


def told(*messages, contacts=CONTACTS, as_of=NOW):
    frame = pl.DataFrame(list(messages), schema=MESSAGE_SCHEMA, orient="row")
    return {row["contact_id"]: row for row in insights(contacts, frame, as_of=as_of, hours=HOURS)}


def test_who_answers_texts_is_reached_by_text_in_their_own_afternoon():
    texts = [message(days=40 + 7 * n, answered=True) for n in range(6)]
    mails = [message(channel="email", days=43 + 7 * n) for n in range(6)]
    found = told(*texts, *mails)[TEXTER]
    assert found["preferred_communication_channel"] == "sms"
    shares = found["response_probability_by_channel"]
    assert shares["sms"] > 0.5 > shares["email"]
    assert found["optimal_contact_time"] == time(16, 30)  # 15 to 18 o'clock
    assert found["sms_engagement_pattern"] == {
        "messages": 6, "answered": 6, "median_hours_to_answer": 2.0,
        "last_sent_at": "2026-01-29T21:30:00+00:00",
    }  # fmt: skip


def test_who_has_had_no_message_is_told_what_holds_for_all():
    found = told(*[message(days=40 + n, answered=n % 2 == 0) for n in range(20)])
    silent = found[SILENT]
    assert silent["detail"]["of_their_own"] == 0.0
    assert silent["prediction_accuracy_score"] is None
    assert silent["preferred_communication_channel"] == "sms"
    assert silent["response_probability_by_channel"]["sms"] == pytest.approx(0.46, abs=0.05)


def test_without_any_message_nothing_is_claimed_beyond_the_same_share_for_all():
    found = told()[SILENT]
    assert len(set(found["response_probability_by_channel"].values())) == 1
    assert found["detail"]["messages"] == 0


def test_a_message_that_may_still_be_answered_says_nothing_yet():
    young = [message(days=ANSWER_DAYS - 2)]
    assert told(*young)[TEXTER]["detail"]["messages"] == 0
    assert told(message(days=ANSWER_DAYS + 1))[TEXTER]["detail"]["messages"] == 1


def test_the_next_contact_is_on_the_best_day_in_the_contacts_own_time_and_not_too_soon():
    monday_mails = [message(days=36 + 7 * n, answered=True) for n in range(6)]
    found = told(*monday_mails)[TEXTER]
    assert found["optimal_contact_day"] == "monday"
    moment = found["next_contact_recommendation"]
    assert moment > NOW
    local = moment.astimezone(ZoneInfo("America/New_York"))
    assert (local.weekday(), local.time()) == (0, time(16, 30))


def test_accuracy_is_that_of_predictions_made_before_each_answer():
    always = [message(days=40 + 7 * n, answered=True) for n in range(12)]
    never = [message(contact=SILENT, days=40 + 7 * n) for n in range(12)]
    found = told(*always, *never)
    for contact in (SILENT, TEXTER):
        own = found[contact]["prediction_accuracy_score"]
        assert own > found[contact]["detail"]["accuracy_of_the_common_share"]
        assert 0.0 <= own <= 1.0
