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
    HOUSEHOLD = 7
    CAPACITY = 8
    BUDGET = 9
    ROLLOUT = 10
    ARBITRATION = 11
    HOLDOUT = 12


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
    RESTING = 51
    COOL_OFF = 52
    HELD_BY_PERSON = 55
    STRUCK_BY_PERSON = 56
    # quiet hours
    NO_LEGAL_SLOT = 60
    # household
    HOUSEHOLD_MESSAGE = 65
    # capacity
    NO_CAPACITY = 70
    # budget
    BUDGET_EXHAUSTED = 72
    # rollout
    NOT_ROLLED_OUT = 75
    # arbitration
    NOT_WORTH_IT = 80
    LOWER_VALUE = 81
    LOWER_PRIORITY = 82
    NOT_DRAWN = 83
    # holdout
    HOLDOUT = 90
    # what was decided
    HIGHEST_VALUE = 100
    NO_RULE_APPLIES = 101
    BUSINESS_AS_USUAL = 102
    RANDOM_CHOICE = 103
    PLAIN_RULES = 104


def code(reason: int) -> str:
    """Return the stable text of a reason, e.g. 'no_consent'; '' for NONE."""
    return "" if reason == Reason.NONE else Reason(reason).name.lower()


def stage_code(stage: int) -> str:
    """Return the stable text of a stage, e.g. 'consent'; '' for NONE."""
    return "" if stage == Stage.NONE else Stage(stage).name.lower()
