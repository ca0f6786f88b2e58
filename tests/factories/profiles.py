"""A practice's playbook without a database, and contacts with random histories for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from bandits.evidence import tallied
from bandits.fit import Choosing, fitted
from bandits.learning import Observation, outcomes_of
from bandits.selection import VARIANT_PREFIX
from bandits.state import PolicyState
from churn.definition import industry_definition
from churn.features import churn_features, distinct
from churn.health_policy import HealthPolicy
from churn.model import HazardModel
from engine.actions import CHANNELS
from engine.features.contact import HistoryEvent, features_of
from engine.features.subjects import subjects_of
from engine.features.tables import FeatureTables
from engine.ids import DecisionId, TenantId
from engine.policy.quiet_hours import zone_or_utc
from engine.profile import Profile, policy_features
from engine.slots import SLOT_NAMES
from rules.compiled import compile_rules
from services import profiles as sources
from services.actions import actions_of, arms_known, prior_state, variants_of
from services.attributes import attribute_values, attributes_of, is_from_health
from services.consent_held import consent_held
from services.own_history import OwnHistory
from services.playbook import Playbook, event_types, shipped_policy
from services.rule_texts import pack_texts, parse_rules
from services.tenant_settings import parse_settings
from tests.factories.contacts import contact_id
from tests.factories.events import NOON, event_frame

TENANT = TenantId(UUID("7d9f1f6e-5f0a-4c39-9f0e-2f1f5a3b7c11"))
SENDER = (
    '{"sender": {"name": "Practice", "email": "hello@practice.example",'
    ' "postal_address": "1 Main St, Springfield, IL 62701", "phone": "+1 217 555 0100"},'
    ' "channels": ["email", "sms"], "timezone": "America/New_York"}'
)
VISITS = ("appointment.kept",)
HEALTHCARE = industry_definition("healthcare", VISITS)
_ZONES = ("America/New_York", "Asia/Kolkata", "Mars/Phobos", None, "", "America/St_Johns")
_PURPOSES = ("treatment", "service", "marketing")


def make_playbook(*, model: HazardModel | None = None, observations: int = 0) -> Playbook:
    """The shipped practice: its rules and policy; a model and learned arms if asked for."""
    texts = pack_texts("healthcare/retention")
    rules = compile_rules(parse_rules(texts.document, texts.vocabulary, texts.name))
    policy = shipped_policy()
    state = arms_known(prior_state(policy.exploration_floor), rules.rule_set)
    if observations:
        state = arms_known(_taught(state, actions_of(rules.rule_set, state).actions, observations),
                           rules.rule_set)  # fmt: skip
    specs = distinct([*rules.features, *churn_features(HEALTHCARE), *policy_features(policy)])
    from_history = tuple(spec for spec in specs if not is_from_health(spec))
    return Playbook(
        tenant_id=TENANT,
        tenant_name="Practice",
        settings=parse_settings(SENDER, name="Practice", industry="healthcare"),
        rules=rules,
        rule_set_digest=rules.rule_set.digest,
        specs=from_history,
        attributes=attributes_of(specs, rules.rule_set.vocabulary),
        event_types=event_types(from_history, rules.subject_kinds),
        definition=HEALTHCARE if model is None else model.trained.definition,
        health=HealthPolicy(),
        model=model,
        model_digest=None if model is None else "0" * 64,
        tier_note="",
        actions=actions_of(rules.rule_set, state),
        policy=policy,
        state=state,
        state_version=int(observations > 0),
        seed=11,
    )


def _taught(state: PolicyState, actions: Sequence[Any], count: int) -> PolicyState:
    rng = np.random.default_rng(5)
    taught = []
    for number in range(count):
        action = actions[rng.integers(len(actions))]
        taught.append(
            Observation(
                decision_id=DecisionId(UUID(int=number)),
                action=action.id,
                arms={
                    "channel": str(rng.choice(CHANNELS)),
                    "slot": str(rng.choice(SLOT_NAMES)),
                    VARIANT_PREFIX + action.id: str(rng.choice(variants_of(action))),
                },
                context=np.array([1.0, *rng.random(3)]),
                reward=float(rng.choice([0.0, 0.05, 1.0])),
                day=20_000,
            )
        )
    return fitted(tallied(outcomes_of(taught)), 20_040, Choosing(floor=state.floor))


@dataclass(frozen=True)
class Person:
    """A contact as the store gives it."""

    row: Mapping[str, Any]
    events: Sequence[HistoryEvent]
    ledger: Sequence[tuple[str, str, str]]
    sends: Sequence[tuple[str, str, int, str, str]]


def make_person(number: int = 0, **changes: object) -> Person:
    """A patient in New York with every address, consent to all, and no history."""
    row = {
        "contact_id": contact_id(number),
        "account_id": None,
        "timezone": "America/New_York",
        "first_name": "Ada",
        "full_name": "Ada Byron",
        "email": f"ada.{number}@example.com",
        "mobile_phone": "+12175550123",
        "phone": "+12175550123",
        "do_not_email": False,
        "do_not_sms": False,
        "do_not_call": False,
        "lead_status": "new",
        "preferred_contact_method": "email",
        "unsubscribed": False,
        "custom_fields": "{}",
    }
    ledger = [(c, p, "granted") for c in ("email", "sms", "call_task") for p in _PURPOSES]
    return replace(Person(row, (), ledger, ()), **changes)  # type: ignore[arg-type]


def random_person(rng: np.random.Generator, number: int, as_of: datetime = NOON) -> Person:
    """Anybody: odd zones, missing addresses, revoked consent, any history, earlier messages."""
    kinds = ("appointment.kept", "appointment.booked", "appointment.no_show",
             "appointment.cancelled", "complaint.opened", "complaint.resolved", "message.sent",
             "message.opened", "message.clicked", "message.replied", "invoice.paid_late",
             "invoice.credited", "unheard.of")  # fmt: skip
    shares = np.array([9, 4, 3, 2, 0.3, 0.2, 3, 1, 1, 1, 1, 1, 1])
    events = []
    for n in range(int(rng.integers(0, 25)) * int(rng.random() < 0.9)):
        kind = str(rng.choice(kinds, p=shares / shares.sum()))
        at = as_of - timedelta(days=float(rng.exponential(90.0)))
        starts = at + timedelta(days=float(rng.uniform(0, 60))) if "booked" in kind else None
        amount = int(rng.integers(0, 30_000)) if rng.random() < 0.5 else None
        events.append(HistoryEvent(kind, at, amount, f"appointment:{n}", starts))
    person = make_person(number)
    age = rng.choice(["34", "34.5", "unknown", "null", "true", '"61"'])
    row = dict(person.row) | {
        "timezone": rng.choice(np.array(_ZONES, dtype=object)),
        "email": person.row["email"] if rng.random() < 0.8 else None,
        "mobile_phone": "+12175550123" if rng.random() < 0.6 else None,
        "phone": "+12175550123" if rng.random() < 0.6 else "",
        "do_not_email": bool(rng.random() < 0.1),
        "do_not_call": bool(rng.random() < 0.1),
        "unsubscribed": bool(rng.random() < 0.1),
        "custom_fields": "{}" if age == "unknown" else f'{{"age": {age}, "x": [1]}}',
    }
    ledger = [
        (channel, purpose, "granted" if rng.random() < 0.85 else "revoked")
        for channel, purpose, _ in person.ledger
        if rng.random() < 0.8
    ]
    as_of_us = int(as_of.timestamp()) * 1_000_000
    sends = [
        (action, "service", as_of_us - int(rng.exponential(20.0) * 86_400e6),
         f"clinic.{action}", "contact")
        for _ in range(int(rng.integers(0, 3)) * int(rng.random() < 0.4))
        for action in (str(rng.choice(["no-show-rescue", "reactivation"])),)
    ]  # fmt: skip
    return Person(row, events, ledger, sends)


def profile_alone(playbook: Playbook, person: Person, as_of: datetime = NOON) -> Profile:
    """The profile as a request for one contact builds it."""
    row = person.row
    zone = zone_or_utc(row["timezone"], playbook.settings.time_zone)
    consent = consent_held(playbook.settings, row, person.ledger)
    values = attribute_values(playbook.attributes, row, consent)
    holidays = playbook.holidays(as_of)
    features = features_of(
        values, person.events, playbook.specs, as_of=as_of, zone=zone, holidays=holidays
    )
    subjects = subjects_of(
        person.events, playbook.rules.subject_kinds, playbook.specs,
        as_of=as_of, zone=zone, attributes=values,
    )  # fmt: skip
    return sources._profile(
        playbook,
        row,
        features,
        consent,
        OwnHistory(person.sends),
        as_of=as_of,
        subjects=subjects,
    )


def profiles_together(
    playbook: Playbook, people: Sequence[Person], as_of: datetime = NOON
) -> tuple[list[Profile], FeatureTables]:
    """Profiles and feature tables as a run over all contacts builds them."""
    rows = [dict(person.row) for person in people]
    contacts = pl.DataFrame(
        {name: [row[name] for row in rows] for name in make_person().row},
        schema_overrides={
            "timezone": pl.String, "contact_id": pl.String, "account_id": pl.String
        },
    )  # fmt: skip
    events = event_frame({p.row["contact_id"]: p.events for p in people})
    consents = [consent_held(playbook.settings, p.row, p.ledger) for p in people]
    tables = sources._feature_tables(playbook, contacts, rows, consents, events, as_of)
    subjects = sources._subjects_by_contact(tables.subjects)
    features = tables.contacts.drop("contact_id").iter_rows(named=True)
    return [
        sources._profile(
            playbook,
            person.row,
            values,
            consent,
            OwnHistory(person.sends),
            as_of=as_of,
            subjects=subjects.get(person.row["contact_id"], ()),
        )
        for person, consent, values in zip(people, consents, features, strict=True)
    ], tables
