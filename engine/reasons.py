"""Reason codes: why a row of the candidates was removed, or what was decided. Stable, snake_case.

Stages are numbered in the order of the path of a decision; a higher number got further.
"""

from enum import IntEnum


class Stage(IntEnum):
    """The policy's stages in order."""

    NONE = 0
    ELIGIBILITY = 1
    SUITABILITY = 2
    CONSENT = 3
    FREQUENCY_CAP = 4
    SUPPRESSION = 5
    QUIET_HOURS = 6
    ROLLOUT = 7
    ARBITRATION = 8
    HOLDOUT = 9


class Reason(IntEnum):
    """Why; 0 means 'still in'."""

    NONE = 0
    # eligibility
    NO_REACHABLE_CHANNEL = 10
    SHADOW_RULE = 11
    # suitability
    OPEN_COMPLAINT = 20
    # consent
    DO_NOT_CONTACT_FLAG = 30
    NO_CONSENT = 31
    CONSENT_REVOKED = 32
    # frequency cap
    FREQUENCY_CAP = 40
    # suppression
    COOLDOWN = 50
    # quiet hours
    NO_LEGAL_SLOT = 60
    # arbitration
    NOT_WORTH_IT = 80
    LOWER_VALUE = 81
    # holdout
    HOLDOUT = 90
    # what was decided
    HIGHEST_VALUE = 100
    NO_RULE_APPLIES = 101


def code(reason: int) -> str:
    """Return the stable text of a reason, e.g. 'no_consent'; '' for NONE."""
    return "" if reason == Reason.NONE else Reason(reason).name.lower()


def stage_code(stage: int) -> str:
    """Return the stable text of a stage, e.g. 'consent'; '' for NONE."""
    return "" if stage == Stage.NONE else Stage(stage).name.lower()
