"""What a tenant has set, and what holds where it has set nothing."""

import orjson

from services.tenant_settings import parse_settings


def settings(**stored: object):
    return parse_settings(orjson.dumps(stored).decode(), name="Practice", industry="healthcare")


def test_by_default_only_calls_by_staff_are_implied_and_never_for_marketing():
    assert set(settings().implied_consent) == {"call_task:treatment", "call_task:service"}


def test_a_tenant_adds_a_basis_of_its_own_and_takes_a_default_back():
    implied = settings(
        implied_consent={"email:treatment": "patient", "call_task:service": ""}
    ).implied_consent
    assert set(implied) == {"call_task:treatment", "email:treatment"}


def test_without_a_complete_sender_there_is_none():
    complete = {"name": "P", "email": "a@b.example", "postal_address": "1 Main St", "phone": "1"}
    assert settings(sender=complete).sender is not None
    for missing in ("email", "postal_address", "phone"):
        assert settings(sender={**complete, missing: ""}).sender is None
    assert settings(sender={**complete, "name": ""}).sender.name == "Practice"


def test_an_industry_says_what_a_visit_is_unless_the_tenant_does():
    assert settings().visit_types == ("appointment.kept",)
    assert settings(visit_events=["visit.done"]).visit_types == ("visit.done",)
