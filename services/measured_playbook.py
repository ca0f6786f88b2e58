"""What the product goes by in a simulated business: its rules, its health model, its policy."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import polars as pl

from churn.definition import industry_definition
from churn.features import churn_features, distinct
from churn.model import HazardModel
from churn.train import train
from engine.errors import TooFewData
from engine.ids import TenantId
from engine.profile import policy_features
from rules.compiled import CompiledRules, compile_rules, merge_rule_sets
from services.actions import actions_of, arms_known, prior_state
from services.playbook import Playbook, event_types, shipped_policy
from services.rule_texts import file_texts, pack_texts, parse_texts
from services.tenant_settings import parse_settings
from simulate import business as simulated
from simulate.people import ZONES, contact_ids
from simulate.record import MINUTES

RULES = Path(simulated.__file__).parent / "rules"
# shipped packs that the business starts with; the rest is its manager's own file
_PACKS: Mapping[str, tuple[str, ...]] = {
    "healthcare": ("healthcare/retention", "healthcare/recalls"),
    "trades": (),
    "professional_services": (),
}


def trained_on(business: simulated.Business) -> HazardModel | None:
    """The product's health model of what is on record today; None where there is too little."""
    settings = parse_settings("{}", name="simulated", industry=business.cut.industry)
    definition = industry_definition(business.cut.industry, settings.visit_types)
    ids = pl.Series(contact_ids(len(business.people)), dtype=pl.String)
    contacts = pl.DataFrame(
        {"contact_id": ids, "timezone": [ZONES[zone] for zone in business.people.zone]}
    )
    events = business.record.frame(ids, until=business.today * MINUTES)
    try:
        return HazardModel(train(contacts, events, definition, as_of=business.now))
    except TooFewData:
        return None


def rules_of(industry: str) -> CompiledRules:
    """The rules that the simulated business has in force."""
    texts = [pack_texts(name) for name in _PACKS[industry]]
    texts.append(file_texts(RULES / f"{industry}.yaml", f"simulated-{industry}"))
    return compile_rules(merge_rule_sets([parse_texts(each) for each in texts]))


def playbook_of_business(business: simulated.Business, model: HazardModel | None) -> Playbook:
    """Return what is in force: shipped packs, the manager's rules, and nothing learnt yet."""
    industry = business.cut.industry
    rules = rules_of(industry)
    settings = parse_settings("{}", name="simulated", industry=industry)
    definition = industry_definition(industry, settings.visit_types)
    # everybody is treated: the groups that are compared live in worlds of their own
    policy = replace(shipped_policy(), holdout_share=0.0)
    state = arms_known(prior_state(policy.exploration_floor), rules.rule_set)
    specs = distinct([*rules.features, *churn_features(definition), *policy_features(policy)])
    from_history = tuple(s for s in specs if not (s.attribute or "").startswith("health."))
    return Playbook(
        tenant_id=TenantId(UUID(int=business.cut.seed)),
        tenant_name="simulated",
        settings=settings,
        rules=rules,
        rule_set_digest=rules.rule_set.digest,
        specs=from_history,
        attributes=(),
        event_types=event_types(from_history),
        definition=definition,
        model=model,
        model_digest=None if model is None else model.digest,
        tier_note="scorecard" if model is None else "model",
        actions=actions_of(rules.rule_set, state),
        policy=policy,
        state=state,
        state_version=0,
        seed=business.cut.seed,
    )
