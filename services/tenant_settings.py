"""What a tenant has set, with the defaults of its industry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from content.identity import InvalidSender, Sender

_VISITS_BY_INDUSTRY = {
    "healthcare": ("appointment.kept",),
    "trades": ("appointment.kept", "job.completed"),
    "professional_services": ("invoice.issued", "milestone.completed"),
}
_VISITS = ("invoice.issued", "appointment.kept")

# A person of the business calls somebody it serves: no machine, no advertising. A do-not-call flag
# or a revocation forbids it all the same.
_IMPLIED = {
    "call_task:treatment": "existing relationship, a person calls",
    "call_task:service": "existing relationship, a person calls",
}


@dataclass(frozen=True, slots=True)
class SecondPerson:
    """When a release of rules needs a second person: above both of these bounds.

    Attributes:
        above_share: growth of the contacts proposed for in a week, as a share of today's.
        above_contacts: the same growth in contacts.
    """

    above_share: float = 0.25
    above_contacts: float = 100.0


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """Settings with every default filled in.

    Attributes:
        visit_types: event types that count as a visit or purchase.
        time_zone: of the practice; stands in for a contact without one.
        sender: identity in messages; None while it is incomplete: then nothing is sent.
        sender_email: address that messages come from.
        implied_consent: 'channel:purpose' -> basis, where the tenant relies on an existing
            relationship instead of a ledger row; by default calls by staff only: else no record
            means no.
        channels: for messages, that are set up; SMS needs a gateway, so it is off by default.
        paused: nothing is sent.
        churn: what the tenant has set of its definition of churn, see `churn_definition`.
        churn_pool: the tenant lends what it saw of departures to models of its industry's other
            businesses, and borrows from them; off until somebody switches it on.
        holidays: whose public holidays the tenant keeps, e.g. 'US' or 'US-TX'; None if not set.
        attributes: what rules may read as tenant.<name>.
    """

    visit_types: tuple[str, ...]
    time_zone: str | None
    sender: Sender | None
    sender_email: str
    implied_consent: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ("email",)
    paused: bool = False
    churn: Mapping[str, Any] = field(default_factory=dict)
    churn_pool: bool = False
    holidays: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


def parse_settings(settings_json: str, *, name: str, industry: str | None) -> TenantSettings:
    """Return the settings stored as JSON text; what is not set has the industry's default."""
    stored: dict[str, Any] = orjson.loads(settings_json)
    sender = stored.get("sender") or {}
    visits = stored.get("visit_events") or _VISITS_BY_INDUSTRY.get(industry or "", _VISITS)
    return TenantSettings(
        visit_types=tuple(visits),
        time_zone=stored.get("timezone"),
        sender=_sender(sender, name),
        sender_email=sender.get("email") or "",
        implied_consent=_implied(stored.get("implied_consent") or {}),
        channels=tuple(stored.get("channels", ("email",))),
        paused=bool(stored.get("paused", False)),
        churn=dict(stored.get("churn") or {}),
        churn_pool=stored.get("churn_pool") is True,
        holidays=stored.get("holidays") or None,
        attributes={**(stored.get("attributes") or {}), "name": name, "industry": industry},
    )


def parse_second_person(stored: Mapping[str, Any]) -> SecondPerson:
    """Return the bound in a tenant's settings, `second_person_above: {share, contacts}`."""
    told = stored.get("second_person_above") or {}
    default = SecondPerson()
    return SecondPerson(
        above_share=float(told.get("share", default.above_share)),
        above_contacts=float(told.get("contacts", default.above_contacts)),
    )


def _implied(stored: Mapping[str, str | None]) -> dict[str, str]:
    """What is implied by default and by the tenant's word; an empty basis takes a pair back."""
    return {pair: basis for pair, basis in (_IMPLIED | dict(stored)).items() if basis}


def _sender(stored: Mapping[str, str], tenant_name: str) -> Sender | None:
    """The identity, None while something that a message must carry is missing."""
    if not stored.get("email"):
        return None
    try:
        return Sender(
            name=stored.get("name") or tenant_name,
            postal_address=stored.get("postal_address") or "",
            phone=stored.get("phone") or "",
        )
    except InvalidSender:
        return None


def identity_of(settings: TenantSettings, tenant_name: str) -> Sender:
    """Return who a call script speaks for, also while the sender of messages is incomplete."""
    return settings.sender or Sender(tenant_name, "-", "-")
