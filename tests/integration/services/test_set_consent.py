"""Consent is written with its proof, per channel and purpose, and holds at once."""

from dataclasses import replace
from datetime import timedelta

import pytest

from engine.errors import InvalidInput
from services.set_consent import ConsentTold, set_consent, show_consent
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration
GRANT = ConsentTold(
    ("sms", "email"), ("treatment",), "granted", "express_written", "form", "ada", id="form-1"
)


async def tell(practice: Practice, contact: object, told: ConsentTold) -> dict[str, object]:
    async with practice.transaction() as connection:
        return await set_consent(connection, practice.tenant_id, str(contact), told, practice.now())


async def struck(practice: Practice, contact: object) -> str:
    """The channels of the invitation to rebook that were struck, with the reason."""
    told = await practice.decide(contact, dry_run=True)
    return str(
        next(c for c in told["candidates"] if c["rule"] == "clinic.no-show-rescue")["channels"]
    )


async def test_a_grant_lets_the_next_decision_through_and_is_noted_once(practice):
    contact = await practice.add_missed(consented=False)
    assert "email:no_consent" in await struck(practice, contact)
    first, again = [await tell(practice, contact, GRANT) for _ in range(2)]
    assert (first["added"], again["added"]) == (2, 0)
    assert "email:no_consent" not in await struck(practice, contact)
    async with practice.transaction() as connection:
        shown = await show_consent(connection, practice.tenant_id, str(contact), practice.now())
    assert {(r["channel"], r["basis"], r["source"]) for r in shown["ledger"]} == {
        ("sms", "express_written", "form"), ("email", "express_written", "form")
    }  # fmt: skip


async def test_a_withdrawal_takes_back_what_is_queued_for_that_purpose_alone(practice):
    contact = await practice.add_missed()
    decision = await practice.decide(contact, as_of=MORNING)
    channel = str(decision["channel"])
    for purpose, suppressed in (("marketing", 0), ("treatment", 1)):
        told = ConsentTold((channel,), (purpose,), "revoked", "revocation", "call", "ada")
        assert (await tell(practice, contact, told))["suppressed"] == suppressed
    (send,) = await practice.rows("SELECT state, reason FROM keepwell.sends")
    assert (send["state"], send["reason"]) == ("suppressed", "consent_revoked")


async def test_an_old_grant_that_is_reported_late_does_not_undo_a_newer_withdrawal(practice):
    contact = await practice.add_contact(consented=False)
    now = practice.now()
    for status, hours in (("revoked", 1), ("granted", 5)):
        told = ConsentTold(
            ("sms",), ("service",), status, "x", "call", "ada", at=now - timedelta(hours=hours)
        )
        found = await tell(practice, contact, told)
    assert found["held"] == [{"channel": "sms", "purpose": "service", "status": "revoked"}]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"channels": ("pigeon",)}, "pigeon"),
        ({"purposes": ()}, "purpose"),
        ({"basis": " "}, "basis"),
        ({"at": MORNING + timedelta(days=9)}, "after now"),
    ],
)
async def test_a_consent_that_proves_nothing_is_refused(practice, change, told):
    contact = await practice.add_contact()
    with pytest.raises(InvalidInput, match=told):
        await tell(practice, contact, replace(GRANT, **change))
