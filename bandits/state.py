"""What a tenant's bandits have learned: immutable, stored as versioned JSON, lossless to the bit.

A factor is one part of a treatment (`channel`, `slot`, `variant:<action>`); its arms are the
choices. Each arm keeps the sufficient statistics of a ridge regression of reward on context: what
counts of the evidence (`evidence.py`) after forgetting and delays (`fit.py`).
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bandits.context import CONTEXT_FEATURES
from bandits.counting import COUNTING
from bandits.factor import FactorState, untrained
from bandits.hierarchy import Spreads
from engine.errors import StateUnusable

FORMAT = "keepwell.bandit-policy"
FORMAT_VERSION = 2
# Version 1 had linear Thompson sampling alone; it is read as such.
_READABLE = (1, FORMAT_VERSION)

# The policies that a tenant can choose. The first is Keepwell's own; the others are MABWiser's
# LinTS, LinUCB and LinGreedy, each arm for itself, and its bandits without context.
HIERARCHICAL, LIN_TS, LIN_UCB, LIN_GREEDY = "hierarchical", "lints", "linucb", "lingreedy"
POLICIES = (HIERARCHICAL, LIN_TS, LIN_UCB, LIN_GREEDY, *COUNTING)

# Noise of one reward. Rewards are mostly 0 with a business rate of 5 to 18 %, so their standard
# deviation is sqrt(p (1 - p)) = 0.2 to 0.4; with 1.0 the policy explores far too long.
DEFAULT_ALPHA = 0.3
# Keeps every arm's probability away from 0, so that logged decisions can value another policy.
# It cost 0.02 of the possible gain on 2,437 real headline tests; without one the effective sample
# of a public log was 2 rows out of 10,000.
DEFAULT_FLOOR = 0.05

# Share of the posterior's spread that is drawn with once arms have been tried. Textbook Thompson
# sampling (1) explores too long for campaigns of a few months: 0.25 to 0.5 was worth 20 to 50 %
# more gain on 2,437 real headline tests. It begins at 1 and falls with the decisions per arm: with
# 0.5 from the start one replay in sixteen shut itself in with the wrong arm for a while.
DEFAULT_NOISE = 0.4
_NOISE_FALLS = 200.0  # decisions per arm after which 1 / e of what is above that is left

_REBUILD = "Restore the last good state, or start anew with `initial_state`."

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ActionCount:
    """How often an action was carried out and how often its goal was reached."""

    contacted: int = 0
    succeeded: int = 0


@dataclass(frozen=True)
class PolicyState:
    """All factors of one tenant.

    Attributes:
        factors: by name; see `FactorState`.
        actions: outcome counts by action name.
        features: context feature names, in column order.
        alpha: standard deviation of one reward, where a factor has no spreads of its own.
        floor: exploration floor: the share of decisions in which one factor is drawn evenly from
            its allowed arms.
        policy: one of POLICIES.
        noise: share of the posterior's spread that is drawn with in the end; see `drawn_noise`.
        discount: what was kept of a day's evidence after one more day.
        as_of_day: day of the last evidence, days since 1970-01-01; 0 before any.
    """

    factors: Mapping[str, FactorState]
    actions: Mapping[str, ActionCount] = field(default_factory=dict)
    features: tuple[str, ...] = CONTEXT_FEATURES
    alpha: float = DEFAULT_ALPHA
    floor: float = DEFAULT_FLOOR
    policy: str = HIERARCHICAL
    noise: float = DEFAULT_NOISE
    discount: float = 1.0
    as_of_day: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", MappingProxyType(dict(self.factors)))
        object.__setattr__(self, "actions", MappingProxyType(dict(self.actions)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the stored form; equal states have equal digests."""
        text = json.dumps(dump_state(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def drawn_noise(noise: float, decisions_per_arm: float) -> float:
    """Share of the posterior's spread to draw with after so many decisions."""
    return noise + (1.0 - noise) * math.exp(-decisions_per_arm / _NOISE_FALLS)


def initial_state(
    arms: Mapping[str, Sequence[str]],
    *,
    alpha: float = DEFAULT_ALPHA,
    floor: float = DEFAULT_FLOOR,
) -> PolicyState:
    """A state that has seen nothing: every allowed arm is equally likely.

    Args:
        arms: arm names by factor name, e.g. {"channel": ["email", "sms"]}.
        alpha: standard deviation of one reward, above 0.
        floor: exploration floor, in [0, 1].

    Raises:
        StateUnusable: alpha or floor is out of range.
    """
    factors = {name: untrained(names, len(CONTEXT_FEATURES)) for name, names in arms.items()}
    _check_settings(alpha, floor)
    return PolicyState(factors=factors, alpha=alpha, floor=floor)


def with_arms(state: PolicyState, factor: str, arms: Iterable[str]) -> PolicyState:
    """The same state, where `factor` also has these arms; what other arms learned stays.

    New arms come after the old ones; a factor that does not exist yet is made.
    """
    old = state.factors.get(factor) or untrained((), len(state.features))
    new = untrained((arm for arm in arms if arm not in old.arms), len(state.features))
    joined = FactorState(
        arms=old.arms + new.arms,
        precision=np.concatenate([old.precision, new.precision]),
        xty=np.concatenate([old.xty, new.xty]),
        observations=np.concatenate([old.observations, new.observations]),
        reward_sum=np.concatenate([old.reward_sum, new.reward_sum]),
        spreads=old.spreads,
        borrowed=(
            None
            if old.borrowed is None
            else np.concatenate([old.borrowed, np.zeros(len(new.arms))])
        ),
    )
    return replace(state, factors={**state.factors, factor: joined})


def dump_state(state: PolicyState) -> dict[str, Any]:
    """The state as a JSON document; `load_state` gives every float back to the bit.

    Arms are a list, because their order is meaning and a JSONB column forgets the order of keys.
    Negative zeros become zeros, which a JSONB column does as well.
    """
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "features": list(state.features),
        "alpha": state.alpha,
        "floor": state.floor,
        "policy": state.policy,
        "noise": state.noise,
        "discount": state.discount,
        "as_of_day": state.as_of_day,
        "factors": {name: _dump_factor(factor) for name, factor in sorted(state.factors.items())},
        "actions": {
            name: {"contacted": count.contacted, "succeeded": count.succeeded}
            for name, count in sorted(state.actions.items())
        },
    }


def _dump_factor(factor: FactorState) -> dict[str, Any]:
    spreads = factor.spreads
    return {
        "spreads": None if spreads is None else list(spreads.groups),
        "noise_variance": None if spreads is None else spreads.noise_variance,
        "arms": [
            {
                "arm": arm,
                "A": (factor.precision[k] + 0.0).tolist(),
                "xty": (factor.xty[k] + 0.0).tolist(),
                "observations": int(factor.observations[k]),
                "reward_sum": float(factor.reward_sum[k]) + 0.0,
                "borrowed": None if factor.borrowed is None else float(factor.borrowed[k]) + 0.0,
            }
            for k, arm in enumerate(factor.arms)
        ],
    }


def load_state(document: object) -> PolicyState:
    """The state that `dump_state` wrote, now or when the format was version 1.

    Raises:
        StateUnusable: unknown format or version, other context features than this code computes,
            a wrong shape, a number that is not finite, or counts that contradict each other.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise StateUnusable("The bandit state is not a policy document.", hint=_REBUILD)
    if document.get("version") not in _READABLE:
        raise StateUnusable(
            f"The bandit state has version {document.get('version')!r}, "
            f"this program knows {', '.join(map(str, _READABLE))}.",
            hint="Upgrade the program, or restore a state of a known version.",
        )
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise StateUnusable(
            f"The bandit state is damaged: {type(error).__name__}: {error}.", hint=_REBUILD
        ) from error


def _read(document: Mapping[str, Any]) -> PolicyState:
    features = tuple(document["features"])
    if features != CONTEXT_FEATURES:
        raise StateUnusable(
            f"The bandit state was learned on features {features}, "
            f"this program computes {CONTEXT_FEATURES}.",
            hint=_REBUILD,
        )
    alpha, floor = float(document["alpha"]), float(document["floor"])
    _check_settings(alpha, floor)
    first = document["version"] == 1
    policy = LIN_TS if first else str(document["policy"])
    noise, discount = (1.0, 1.0) if first else (document["noise"], document["discount"])
    if policy not in POLICIES or not 0.0 < noise <= 1.0 or not 0.0 < discount <= 1.0:
        raise ValueError(f"policy {policy}, noise {noise}, discount {discount}")
    return PolicyState(
        factors={
            str(name): _read_factor(str(name), arms) for name, arms in document["factors"].items()
        },
        actions={
            str(name): _read_count(str(name), count) for name, count in document["actions"].items()
        },
        features=features,
        alpha=alpha,
        floor=floor,
        policy=policy,
        noise=float(noise),
        discount=float(discount),
        as_of_day=0 if first else _count(document["as_of_day"]),
    )


def _read_factor(name: str, document: Mapping[str, Any] | list[Mapping[str, Any]]) -> FactorState:
    """One factor; version 1 had a list of arms and nothing else."""
    if isinstance(document, list):
        return _read_arms(name, document, None)
    groups = document["spreads"]
    if groups is None:
        return _read_arms(name, document["arms"], None)
    found = _floats(groups, (len(CONTEXT_FEATURES),))
    variance = float(document["noise_variance"])
    if (found < 0.0).any() or not (math.isfinite(variance) and variance > 0.0):
        raise ValueError(f"factor {name} has impossible spreads")
    return _read_arms(name, document["arms"], Spreads(tuple(found.tolist()), variance))


def _read_arms(
    name: str, documents: Sequence[Mapping[str, Any]], spreads: Spreads | None
) -> FactorState:
    k, d = len(documents), len(CONTEXT_FEATURES)
    names = tuple(str(document["arm"]) for document in documents)
    factor = FactorState(
        arms=names,
        precision=_floats([document["A"] for document in documents], (k, d, d)),
        xty=_floats([document["xty"] for document in documents], (k, d)),
        observations=np.array([_count(each["observations"]) for each in documents], dtype=np.int64),
        reward_sum=_floats([document["reward_sum"] for document in documents], (k,)),
        spreads=spreads,
        borrowed=_read_borrowed(documents),
    )
    if len(set(names)) != k:
        raise StateUnusable(f"Factor {name} names an arm twice.", hint=_REBUILD)
    symmetric = np.allclose(factor.precision, factor.precision.transpose(0, 2, 1), rtol=1e-9)
    if not symmetric or (k and np.linalg.eigvalsh(factor.precision).min() <= 0.0):
        raise StateUnusable(
            f"Factor {name} holds a matrix that is no sum of squares.", hint=_REBUILD
        )
    return factor


def _read_borrowed(documents: Sequence[Mapping[str, Any]]) -> FloatArray | None:
    lent = [document.get("borrowed") for document in documents]
    if not lent or lent[0] is None:
        return None
    return _floats(lent, (len(lent),))


def _floats(values: object, shape: tuple[int, ...]) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    if array.shape != shape and (array.size or math.prod(shape)):
        raise ValueError(f"an array has shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError("a number is not finite")
    return array.reshape(shape)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _read_count(action: str, document: Mapping[str, Any]) -> ActionCount:
    count = ActionCount(_count(document["contacted"]), _count(document["succeeded"]))
    if count.succeeded > count.contacted:
        raise ValueError(f"action {action} succeeded more often than it was carried out")
    return count


def _check_settings(alpha: float, floor: float) -> None:
    if not (math.isfinite(alpha) and alpha > 0.0):
        raise StateUnusable(f"alpha is {alpha}.", hint="It must be above 0, e.g. 0.3.")
    if not 0.0 <= floor <= 1.0:
        raise StateUnusable(f"The exploration floor is {floor}.", hint="It lies in [0, 1].")
