"""A tenant's playbook: everything a decision needs that is not about one contact.

Built from versioned parts and kept in the process by their versions, so a change of any part takes
effect with the next decision and the same parts are never built twice.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TypeVar

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.state import PolicyState, load_state
from churn import artifact
from churn.definition import ChurnDefinition
from churn.features import churn_features, distinct
from churn.health_policy import HealthPolicy
from churn.model import HazardModel
from engine.actions import ActionColumns
from engine.chance import salt
from engine.errors import ModelUnusable, NotFound
from engine.features.spec import Feature, SubjectKind
from engine.ids import TenantId
from engine.policy.settings import PolicyData
from engine.profile import policy_features
from rules.compiled import CompiledRules, compile_rules
from rules.public_holidays import UnknownRegion, public_holidays
from services.actions import actions_of, arms_known, prior_state
from services.attributes import (
    HEALTH_DROP,
    SCORE_BEFORE,
    Attribute,
    attributes_of,
    is_from_health,
)
from services.churn_definition import tenant_definition
from services.policy_numbers import ensure_policy, policy_numbers, shipped
from services.rules_in_force import ensure_rules, stored_rules
from services.tenant_settings import TenantSettings, parse_settings
from services.trial_treatment import Trial
from store.health_settings import find_health_settings_json
from store.playbooks import Versions, find_model, find_policy_state, get_versions

_KEPT = 64  # of each kind in the process; the largest, a model, is about 2 MB

T = TypeVar("T")


class _Kept:
    """The last few things built, by a key that names their content."""

    def __init__(self) -> None:
        self._items: OrderedDict[object, object] = OrderedDict()

    def get(self, key: object) -> object | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: object, value: T) -> T:
        self._items[key] = value
        while len(self._items) > _KEPT:
            self._items.popitem(last=False)
        return value


@dataclass(frozen=True)
class Playbook:
    """What is in force for one tenant at one moment.

    Attributes:
        rules: of all files of the release, each with its effective status.
        rule_set_digest: of the release.
        specs: every feature that rules, health model and policy read from history.
        attributes: what is taken from the CRM's rows of contact and account, and from the tenant.
        event_types: what `specs` count and subjects are opened by; nothing else need be loaded.
        health: weights and levels of health scores.
        model: None: the scorecard serves, and `tier_note` says why.
        actions: with the effect that the bandit state's counts give.
        seed: salts the treatment's draws; stands on every decision.
        trials: experiments that run, by action.
    """

    tenant_id: TenantId
    tenant_name: str
    settings: TenantSettings
    rules: CompiledRules
    rule_set_digest: str
    specs: tuple[Feature, ...]
    attributes: tuple[Attribute, ...]
    event_types: tuple[str, ...]
    definition: ChurnDefinition
    model: HazardModel | None
    model_digest: str | None
    tier_note: str
    actions: ActionColumns
    policy: PolicyData
    state: PolicyState
    state_version: int
    seed: int
    trials: Mapping[str, Trial] = field(default_factory=dict)
    health: HealthPolicy = field(default_factory=HealthPolicy)

    @property
    def health_tier(self) -> str:
        """Who says how likely contacts are to leave, see `churn.tiers.NAMES`."""
        return "scorecard" if self.model is None else self.model.trained.tier

    @property
    def household_types(self) -> tuple[str, ...]:
        """Event types that rules look at for other members of an account; empty if none do."""
        return tuple(
            sorted({t for spec in self.specs if spec.kind == "members_due" for t in spec.types})
        )

    @property
    def told_by(self) -> tuple[str, ...]:
        """Event types whose properties tell something of a subject."""
        return property_types(self.specs)

    def holidays(self, as_of: datetime) -> frozenset[date] | None:
        """Return the tenant's public holidays around a moment; None if they are not known."""
        if self.settings.holidays is None:
            return None
        try:
            return public_holidays(self.settings.holidays, as_of.year)
        except UnknownRegion:
            return None


_playbooks, _rules, _models = _Kept(), _Kept(), _Kept()


async def playbook_at(
    connection: AsyncConnection, tenant_id: TenantId, as_of: datetime
) -> Playbook:
    """Return the playbook in force for decisions at `as_of`.

    A tenant without rules gets the shipped ones of its industry, as its first version.
    """
    return await playbook_in_force(connection, tenant_id, await get_versions(connection, as_of))


async def playbook_in_force(
    connection: AsyncConnection, tenant_id: TenantId, versions: Versions
) -> Playbook:
    """Return the playbook of versions in force; see `playbook_at`."""
    if versions.rule_set_digest is None:
        digest = await ensure_rules(connection, tenant_id, versions.industry)
        versions = replace(versions, rule_set_digest=digest)
    versions = await _with_policy(connection, tenant_id, versions)
    return await playbook_of(connection, tenant_id, versions)


async def _with_policy(
    connection: AsyncConnection, tenant_id: TenantId, versions: Versions
) -> Versions:
    """The versions with numbers that are stored and stand on what the product ships today."""
    current = shipped().settings.digest
    if versions.policy_digest is not None and versions.shipped_digest == current:
        return versions
    digest = await ensure_policy(connection, tenant_id, versions.industry)
    return replace(versions, policy_digest=digest, shipped_digest=current)


async def playbook_for_replay(
    connection: AsyncConnection, tenant_id: TenantId, decision: Mapping[str, object]
) -> Playbook:
    """Return the playbook made of the versions that a stored decision names."""
    now = await get_versions(connection, datetime.fromisoformat(str(decision["as_of"])))
    decided_at = datetime.fromisoformat(str(decision["decided_at"]))
    model = decision["model_digest"]
    named = replace(
        now,
        rule_set_digest=str(decision["rule_set_digest"]),
        model_digest=None if model is None else str(model),
        model_too_new=False,
        policy_state_version=int(str(decision["policy_state_version"])),
        policy_digest=str(decision["policy_data_digest"]),
        health_json=await find_health_settings_json(connection, decided_at),
    )
    return await playbook_of(connection, tenant_id, named)


async def playbook_of(
    connection: AsyncConnection, tenant_id: TenantId, versions: Versions
) -> Playbook:
    """Return the playbook of these versions, built at most once per process.

    Raises:
        NotFound: a rule set or bandit state that the versions name is not stored any more.
    """
    key = (tenant_id, versions)
    found = _playbooks.get(key)
    if isinstance(found, Playbook):
        return found
    rules = await rules_of(connection, str(versions.rule_set_digest))
    made = await playbook_with(connection, tenant_id, versions, rules)
    return _playbooks.put(key, made)


async def playbook_with(
    connection: AsyncConnection, tenant_id: TenantId, versions: Versions, rules: CompiledRules
) -> Playbook:
    """Return the playbook of these versions but with these rules, for a trial; not kept.

    Raises:
        NotFound: the bandit state that the versions name is not stored any more.
    """
    model, note = await _model_of(connection, versions)
    settings = parse_settings(
        versions.settings_json, name=versions.tenant_name, industry=versions.industry
    )
    definition = (
        model.trained.definition
        if model is not None
        else tenant_definition(versions.industry, settings)
    )
    policy = await policy_in_force(connection, tenant_id, versions)
    state = arms_known(await _state_of(connection, versions, policy), rules.rule_set)
    specs = distinct(
        [
            *rules.features,
            *churn_features(definition),
            *policy_features(policy),
            *_health_before(rules),
        ]
    )
    attributes = attributes_of(specs, rules.rule_set.vocabulary, settings.attributes)
    from_history = tuple(s for s in specs if not is_from_health(s))
    return Playbook(
        tenant_id=tenant_id,
        tenant_name=versions.tenant_name,
        settings=settings,
        rules=rules,
        rule_set_digest=rules.rule_set.digest,
        specs=from_history,
        attributes=attributes,
        event_types=event_types(from_history, rules.subject_kinds),
        definition=definition,
        health=health_policy(versions.health_json),
        model=model,
        model_digest=versions.model_digest if model is not None else None,
        tier_note=note,
        actions=actions_of(rules.rule_set, state),
        policy=policy,
        state=state,
        state_version=versions.policy_state_version,
        seed=salt("treatment", str(tenant_id)) >> 1,
        trials={action: Trial(name, arms) for name, action, arms in versions.experiments},
    )


def _health_before(rules: CompiledRules) -> tuple[Feature, ...]:
    """Health as it was, where a rule asks how far it has fallen."""
    return (SCORE_BEFORE,) if any(f.attribute == HEALTH_DROP for f in rules.features) else ()


async def policy_in_force(
    connection: AsyncConnection, tenant_id: TenantId, versions: Versions
) -> PolicyData:
    """Return the numbers of these versions; a tenant without any gets the shipped ones stored."""
    digest = versions.policy_digest
    if digest is None:
        digest = await ensure_policy(connection, tenant_id, versions.industry)
    return await policy_numbers(connection, digest)


def health_policy(health_json: str | None) -> HealthPolicy:
    """Return the weights and levels stored as JSON text; the start values if nothing is."""
    return HealthPolicy() if health_json is None else HealthPolicy(**orjson.loads(health_json))


def shipped_policy() -> PolicyData:
    """Return the product's own numbers."""
    return shipped().settings


def event_types(specs: Sequence[Feature], kinds: Sequence[SubjectKind] = ()) -> tuple[str, ...]:
    """Return the event types that these features count and that tell open subjects, sorted."""
    named = {
        name
        for spec in specs
        for name in (*spec.types, *spec.of_types, *spec.closed_by, spec.anchor or "")
    }
    named |= {name for kind in kinds for name in (*kind.opened_by, *kind.closed_by)}
    return tuple(sorted(named - {""}))


def property_types(specs: Sequence[Feature]) -> tuple[str, ...]:
    """Return the event types whose properties these features read, sorted."""
    return tuple(sorted({t for spec in specs if spec.property is not None for t in spec.types}))


async def rules_of(connection: AsyncConnection, digest: str) -> CompiledRules:
    """Return the rules of a release by its digest, compiled at most once per process.

    Raises:
        RuleSetNotFound: they are not stored.
    """
    found = _rules.get(digest)
    if isinstance(found, CompiledRules):
        return found
    compiled = compile_rules(await stored_rules(connection, digest))
    # altered texts are this tenant's alone; others whose rules have this digest must not get them
    return compiled if compiled.rule_set.digest != digest else _rules.put(digest, compiled)


async def _model_of(
    connection: AsyncConnection, versions: Versions
) -> tuple[HazardModel | None, str]:
    """The model, or None with the reason in words; a model that fails its checks is no model."""
    digest = versions.model_digest
    if digest is None:
        if versions.model_too_new:
            return None, "scorecard: the model has seen data after this moment"
        return None, "scorecard: no model has been trained for this tenant"
    found = _models.get(digest)
    if isinstance(found, HazardModel):
        return found, _tier_note(found)
    stored = await find_model(connection, digest)
    if stored is None:
        return None, f"scorecard: the model {digest[:12]} is not stored any more"
    try:
        model = HazardModel(artifact.load(stored, expected_digest=digest))
        _check_features(model)
    except ModelUnusable as error:
        return None, f"scorecard: {error.message}"
    return _models.put(digest, model), _tier_note(model)


def _tier_note(model: HazardModel) -> str:
    trained = model.trained
    if not trained.lenders:
        return "model"
    return f"{trained.tier} model, begun on {trained.lenders} other businesses of the industry"


def _check_features(model: HazardModel) -> None:
    computed = {spec.name for spec in churn_features(model.trained.definition)}
    missing = [name for name in model.feature_names if name not in computed]
    if missing:
        raise ModelUnusable(
            f"the model reads what is not computed any more: {', '.join(missing[:3])}.",
            hint="Train again.",
        )


async def _state_of(
    connection: AsyncConnection, versions: Versions, policy: PolicyData
) -> PolicyState:
    if versions.policy_state_version == 0:
        return prior_state(policy.exploration_floor)
    stored = await find_policy_state(connection, versions.policy_state_version)
    if stored is None:
        raise NotFound(
            f"The bandit state {versions.policy_state_version} is not stored any more.",
            hint="Restore it from a backup; decisions made with it can't be replayed without.",
        )
    # the floor is a manager's word, in force at once; the decision names the policy's digest
    return replace(load_state(orjson.loads(stored)), floor=policy.exploration_floor)
