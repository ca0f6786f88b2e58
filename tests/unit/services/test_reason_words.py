"""Every reason and stage has words, and each reason that removes something has a lift or none."""

import pytest

from engine.reasons import Reason, Stage, code, stage_code
from services.lifts import LIFTED
from services.reason_words import reason_words, stage_words

# what no one thing would change: the contact's group goes by rules or by chance
NOT_LIFTED = {"lower_priority", "not_drawn"}


@pytest.mark.parametrize("reason", [code(each) for each in Reason if each])
def test_a_person_can_read_every_reason(reason):
    assert reason_words(reason) != reason.replace("_", " ")


@pytest.mark.parametrize("stage", [stage_code(each) for each in Stage if each])
def test_a_person_can_read_every_stage(stage):
    assert stage_words(stage) != stage.replace("_", " ")


def test_every_reason_that_removes_a_candidate_is_lifted_or_known_not_to_be():
    removing = {code(each) for each in Reason if 0 < each < Reason.HIGHEST_VALUE}
    assert removing - LIFTED == NOT_LIFTED
