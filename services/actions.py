"""The actions that a rule set proposes, with the effect learnt so far, and the arms they offer."""

from bandits.response import Counts, Guess, response
from bandits.selection import VARIANT_PREFIX
from bandits.state import ActionCount, PolicyState, initial_state, with_arms
from content.render import list_variants
from engine.actions import CHANNELS, WHOLE_DAY, Action, ActionColumns, action_columns
from engine.features.spec import CONTACT
from engine.slots import SLOT_NAMES
from rules.document import Rule, RuleSet
from rules.vocabulary import Vocabulary

_NEVER = 1e-4
# before an action's name in the state's counts: those of the holdout who would have got it
LEFT_PREFIX = "left:"


def actions_of(rule_set: RuleSet, state: PolicyState) -> ActionColumns:
    """Return one action per rule that acts, in the order of the rules."""
    acting = [rule for rule in rule_set.rules if rule.acts]
    return action_columns([_action(rule, state, rule_set.vocabulary) for rule in acting])


def _action(rule: Rule, state: PolicyState, vocabulary: Vocabulary) -> Action:
    then = rule.then
    count = state.actions.get(then.action, ActionCount())
    left = state.actions.get(LEFT_PREFIX + then.action, ActionCount())
    learnt = response(
        Guess(_inside(then.expect.if_contacted), _inside(then.expect.if_left), then.expect.weight),
        Counts(count.contacted, count.succeeded),
        Counts(left.contacted, left.succeeded),
    )
    return Action(
        id=then.action,
        rule=rule.id,
        template=then.template,
        purpose=then.purpose,
        channels=then.channels,
        value_cents=then.value_cents,
        cost_cents=dict(then.cost_cents),
        if_contacted=learnt.if_contacted,
        if_left=learnt.if_left,
        effect_low=learnt.effect.low,
        effect_high=learnt.effect.high,
        priority=then.priority,
        cooldown_days=float(rule.cooldown_days),
        send_between=rule.send_between or WHOLE_DAY,
        goal_event=then.goal.event,
        goal_window_days=then.goal.within_days,
        still=tuple(
            {"no": event}
            | ({"about": rule.subject} if _is_of_subject(rule, event, vocabulary) else {})
            for fact in then.still
            for event in vocabulary.types(fact.event)
        ),
        shadow=rule.status == "shadow",
        needs_approval=then.needs_approval,
        variants={channel: list_variants(then.template, channel) for channel in then.channels},
    )


def _is_of_subject(rule: Rule, event: str, vocabulary: Vocabulary) -> bool:
    """Whether a rule about subjects looks at such events of its own subject alone."""
    return rule.subject != CONTACT and vocabulary.about(event) == rule.subject


def _inside(share: float) -> float:
    """A guess of never or always is taken as one in ten thousand: nothing is that sure."""
    return min(max(share, _NEVER), 1.0 - _NEVER)


def variants_of(action: Action) -> tuple[str, ...]:
    """Return all variants of an action over its channels, sorted."""
    return tuple(sorted({name for names in action.variants.values() for name in names}))


def arms_known(state: PolicyState, rule_set: RuleSet) -> PolicyState:
    """Return the state with an arm for every channel, slot and variant that may be chosen."""
    state = with_arms(with_arms(state, "channel", CHANNELS), "slot", SLOT_NAMES)
    for action in actions_of(rule_set, state).actions:
        state = with_arms(state, VARIANT_PREFIX + action.id, variants_of(action))
    return state


def prior_state(floor: float) -> PolicyState:
    """Return the state before any outcome."""
    return initial_state({"channel": CHANNELS, "slot": SLOT_NAMES}, floor=floor)
