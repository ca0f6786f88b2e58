"""Gives the messages of a running experiment their wording by chance, whatever the bandits like."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.actions import CHANNELS, ActionColumns
from engine.chance import salt, uniform
from engine.columns import Ints
from engine.treatment import TreatmentPolicy, TreatmentRequest, Treatments


@dataclass(frozen=True, slots=True)
class Trial:
    """An experiment that runs on an action: its arms are content variants."""

    name: str
    arms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrialTreatment:
    """A treatment policy: channel and slot as the other chooses, wording by the experiment.

    Each decision draws evenly among the arms that its channel has; the draw is a hash of the
    decision, so it replays.

    Attributes:
        other: chooses everything else.
        trials: by action.
    """

    other: TreatmentPolicy
    trials: Mapping[str, Trial]
    actions: ActionColumns

    def __call__(self, request: TreatmentRequest) -> Treatments:
        """Return one treatment per row; see `engine.treatment.TreatmentPolicy`."""
        chosen = self.other(request)
        variant, probability = list(chosen.variant), chosen.variant_probability.copy()
        for action in np.unique(request.action):
            offered = self.actions.actions[action]
            trial = self.trials.get(offered.id)
            if trial is None:
                continue
            for channel, name in enumerate(CHANNELS):
                arms = [arm for arm in trial.arms if arm in offered.variants.get(name, ())]
                rows = np.flatnonzero((request.action == action) & (chosen.channel == channel))
                if len(arms) < 2:
                    continue
                for row, arm in zip(rows, _drawn(request, rows, trial, len(arms)), strict=True):
                    variant[row] = arms[arm]
                probability[rows] = 1.0 / len(arms)
        return replace(chosen, variant=tuple(variant), variant_probability=probability)


def _drawn(request: TreatmentRequest, rows: Ints, trial: Trial, arms: int) -> Ints:
    drawn = uniform(request.keys[rows], salt("experiment", trial.name))
    return np.asarray(np.minimum((drawn * arms).astype(np.int64), arms - 1))
