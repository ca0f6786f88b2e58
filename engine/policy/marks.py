"""What a person said of a planned message: held back for now, or struck."""

import numpy as np

from engine.candidates import Candidates, remove
from engine.columns import Ints
from engine.reasons import Reason, Stage

REASONS = {"held": Reason.HELD_BY_PERSON, "struck": Reason.STRUCK_BY_PERSON}


def marks(candidates: Candidates, marked: Ints | None) -> Candidates:
    """Remove what a person does not want now; `marked` is a Reason per row, 0 for none, (m,)."""
    if marked is None or not marked.any():
        return candidates
    return remove(candidates, np.asarray(marked > 0), Stage.SUPPRESSION, marked)
