"""Trials on past nights leave the process to others."""

import pytest

from api.trial_slots import TrialSlots
from engine.errors import RateLimited


def test_a_third_trial_is_refused_until_one_has_ended_even_if_it_failed() -> None:
    slots = TrialSlots(at_once=2)

    def fail_beside_another() -> None:
        with slots.take():
            with pytest.raises(RateLimited, match="2 backtests") as refused, slots.take():
                pass
            assert refused.value.retry_after_seconds > 0
            raise ValueError("broken")

    with slots.take():
        with pytest.raises(ValueError, match="broken"):
            fail_beside_another()
        with slots.take():
            pass
