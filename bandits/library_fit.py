"""The baseline policies' state: every factor's posterior as MABWiser fits it."""

from dataclasses import replace

from bandits.counting import COUNTING
from bandits.factor import FactorState
from bandits.posterior import fitted_by_library, library_sums
from bandits.state import PolicyState


def fitted_by_mabwiser(state: PolicyState) -> PolicyState:
    """The state with each factor's sums as MABWiser holds them after its own fit.

    Its bandits without context hold nothing but these sums: they are taken as they are.
    """
    if state.policy in COUNTING:
        return replace(state, factors={n: _bare(factor) for n, factor in state.factors.items()})
    return replace(
        state, factors={name: _fit(factor, state) for name, factor in state.factors.items()}
    )


def _fit(factor: FactorState, state: PolicyState) -> FactorState:
    bandit = fitted_by_library(factor, state.policy, state.alpha)
    precision, xty = library_sums(bandit, factor.arms)
    # the library's products differ from exact sums in the last bits and are not quite symmetric
    symmetric = (precision + precision.transpose(0, 2, 1)) * 0.5
    return _bare(replace(factor, precision=symmetric, xty=xty))


def _bare(factor: FactorState) -> FactorState:
    """The factor without what the hierarchical learner adds."""
    return replace(factor, spreads=None, borrowed=None)
