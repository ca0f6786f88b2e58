"""Actions: what could be done, with its value, cost, prior effect and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.columns import Bools, Floats, Ints

CHANNELS = ("email", "sms", "call_task")
PURPOSES = ("treatment", "service", "marketing")

WHOLE_DAY = (0, 24 * 60)


@dataclass(frozen=True, slots=True)
class Action:
    """One action as a rule proposes it.

    Attributes:
        id: stable name; `rule` proposes it.
        template: folder of content templates.
        channels: allowed by the author, a subset of CHANNELS.
        value_cents: worth of one success.
        cost_cents: per channel, spent when contacted, successful or not.
        if_contacted, if_left: P(success | contacted), P(success | left alone), in [0, 1].
        effect_low, effect_high: 95 % interval of if_contacted - if_left.
        priority: breaks ties; higher first.
        cooldown_days: the same rule rests this long after it contacted somebody.
        send_within_hours: a slot later than this is too late for the action.
        send_between: minutes of the local day [start, end) that the author asks for.
        goal_event, goal_window_days: what counts as success, and for how long.
        still: facts checked again when the send is claimed: {"no": event type}, and "about": kind
            where only events about the decision's own subject count.
        shadow: decided and recorded, contacts nobody.
        needs_approval: nothing is sent until a person has approved it.
        variants: content variants by channel.
    """

    id: str
    rule: str
    template: str
    purpose: str
    channels: tuple[str, ...]
    value_cents: int
    cost_cents: Mapping[str, float]
    if_contacted: float
    if_left: float
    effect_low: float
    effect_high: float
    priority: int = 0
    cooldown_days: float = 0.0
    send_within_hours: float = 72.0
    send_between: tuple[int, int] = WHOLE_DAY
    goal_event: str = ""
    goal_window_days: int = 14
    still: tuple[Mapping[str, str], ...] = ()
    shadow: bool = False
    needs_approval: bool = False
    variants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class ActionColumns:
    """The same actions as columns, indexed by position.

    Attributes:
        channel: (actions, channels) allowed by the author.
        purpose: index into PURPOSES.
        cost_cents: (actions, channels).
        spans: the distinct `send_between` of the actions.
        span: index into `spans`.
        The rest: (actions,), units as in Action.
    """

    actions: tuple[Action, ...]
    channel: Bools
    purpose: Ints
    spans: tuple[tuple[int, int], ...]
    span: Ints
    value_cents: Floats
    cost_cents: Floats
    if_contacted: Floats
    if_left: Floats
    effect_low: Floats
    effect_high: Floats
    priority: Floats
    cooldown_days: Floats
    send_within_hours: Floats
    shadow: Bools
    needs_approval: Bools


def action_columns(actions: Sequence[Action]) -> ActionColumns:
    """Return the actions as columns; the order is kept."""
    listed = tuple(actions)
    spans = tuple(dict.fromkeys(action.send_between for action in listed))

    def column(name: str) -> Floats:
        return np.array([float(getattr(a, name)) for a in listed], dtype=np.float64)

    return ActionColumns(
        actions=listed,
        channel=np.array(
            [[c in a.channels for c in CHANNELS] for a in listed], dtype=np.bool_
        ).reshape(len(listed), len(CHANNELS)),
        purpose=np.array([PURPOSES.index(a.purpose) for a in listed], dtype=np.int64),
        spans=spans,
        span=np.array([spans.index(a.send_between) for a in listed], dtype=np.int64),
        value_cents=column("value_cents"),
        cost_cents=np.array(
            [[a.cost_cents.get(c, 0.0) for c in CHANNELS] for a in listed], dtype=np.float64
        ).reshape(len(listed), len(CHANNELS)),
        if_contacted=column("if_contacted"),
        if_left=column("if_left"),
        effect_low=column("effect_low"),
        effect_high=column("effect_high"),
        priority=column("priority"),
        cooldown_days=column("cooldown_days"),
        send_within_hours=column("send_within_hours"),
        shadow=np.array([a.shadow for a in listed], dtype=np.bool_),
        needs_approval=np.array([a.needs_approval for a in listed], dtype=np.bool_),
    )
