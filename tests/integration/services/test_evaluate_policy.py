"""A tenant's own decisions judge a policy before it goes live, or say that they can't."""

import numpy as np
import pytest
from sqlalchemy import text

from engine.errors import InvalidInput
from services.evaluate_policy import evaluate_policy
from tests.factories.practice import MORNING, Practice
from tests.integration.services.test_record_event import DAY

pytestmark = pytest.mark.integration

RATES = {"email": 0.1, "sms": 0.4}


async def log_decisions(practice: Practice, count: int) -> None:
    """Decisions sent 40 days ago, e-mail and SMS drawn evenly; SMS is answered four times as often.

    They are one real decision and its message, copied with another channel and other chances.
    """
    at = MORNING - 40 * DAY
    contact = await practice.add_contact()
    await practice.add_event(contact, "appointment.no_show", at - 4 * DAY)
    then = practice.at(at)
    decided = await then.decide(contact, as_of=at)
    await then.database.close()
    await practice.mark_sent(decided, at)
    rng = np.random.default_rng(1)
    channels = rng.choice(list(RATES), count)
    goals = rng.random(count) < np.array([RATES[c] for c in channels])
    async with practice.transaction() as connection:
        for n in range(count):
            values = {"id": decided["id"], "new": f"00000000-0000-8000-8000-{n:012d}",
                      "channel": channels[n], "reward": float(goals[n])}  # fmt: skip
            for table, key in (("decisions", "id"), ("sends", "decision_id")):
                extra = (
                    ", 'contact_id', cast(:new AS uuid), 'channel', cast(:channel AS text), "
                    "'treatment', "
                    "jsonb_build_object('context', json_build_array(1, 0.5, 0.5, 0.5), "
                    "'channel_probability', 0.5, 'allowed', "
                    "json_build_object('channel', json_build_array('email', 'sms')))"
                    if table == "decisions"
                    else ", 'id', cast(:new AS uuid), 'dedupe_key', cast(:new AS text)"
                )
                await connection.execute(
                    text(
                        f"INSERT INTO keepwell.{table} SELECT r.* FROM keepwell.{table} t, "
                        f"json_populate_record(t, json_build_object('{key}', cast(:new AS uuid)"
                        f"{extra})) r WHERE t.{key} = :id"
                    ),
                    {k: v for k, v in values.items() if f":{k}" in extra or k in ("id", "new")},
                )
            await connection.execute(
                text(
                    "INSERT INTO keepwell.rewards (tenant_id, decision_id, reward) "
                    "VALUES (:t, :new, :reward)"
                ),
                {"t": practice.tenant_id, "new": values["new"], "reward": values["reward"]},
            )


async def test_the_log_says_what_another_channel_policy_would_have_earned(practice):
    await log_decisions(practice, 400)
    async with practice.transaction() as connection:
        found = await evaluate_policy(connection, factor="channel", policy="fixed:sms")
        learned = await evaluate_policy(connection, factor="channel", policy="hierarchical")
        alike = await evaluate_policy(connection, factor="channel", policy="uniform")
    assert found["verdict"] == "answers"
    # about 200 answers at 40 %: standard error 3.5 points, four of them
    assert found["dr"]["value"] == pytest.approx(0.4, abs=0.14)
    assert found["dr_minus_logged"]["low"] > 0.0
    assert found["decisions"] in (400, 401)
    assert learned["dr"]["value"] > 0.9 * found["dr"]["value"]
    assert learned["arms"]["sms"]["policy"] > 0.9
    assert alike["dr_minus_logged"]["value"] == pytest.approx(0.0, abs=0.05)


async def test_what_the_log_cannot_answer_is_said(practice):
    with pytest.raises(InvalidInput, match="40 days"):
        async with practice.transaction() as connection:
            await evaluate_policy(connection, factor="channel", policy="uniform", settled_days=40)
    await log_decisions(practice, 60)
    async with practice.transaction() as connection:
        found = await evaluate_policy(connection, factor="channel", policy="fixed:sms")
        assert found["verdict"] == "cannot_answer"
        assert "at least 100 are needed" in found["reasons"][0]
        for asked in ({"factor": "weekday", "policy": "uniform"},
                      {"factor": "channel", "policy": "fixed:pigeon"},
                      {"factor": "channel", "policy": "best"}):  # fmt: skip
            with pytest.raises(InvalidInput):
                await evaluate_policy(connection, **asked)
