"""What would have to be different for another choice: found by deciding again, never by guessing.

A world is all that one decision is made of. A step changes one thing in it, and the decision core
itself says what is chosen then. So whatever stages the policy has, what is told here is what would
happen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.profile import Profile
from services.decision_rows import Recorded, decision_rows
from services.evaluate import evaluate
from services.playbook import Playbook


@dataclass(frozen=True, slots=True)
class World:
    """What one contact's decision is made of."""

    playbook: Playbook
    profile: Profile
    as_of: datetime
    trigger: str | None = None

    def decided(self) -> Recorded:
        """Return the decision in this world; nothing is stored."""
        evaluated = evaluate(
            self.playbook, [self.profile], None, as_of=self.as_of, trigger=self.trigger
        )
        return decision_rows(
            self.playbook, evaluated, as_of=self.as_of, trigger="explain", run_id=None
        )[0]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that would be different.

    Attributes:
        kind: the reason code it lifts, or 'fact' for something known of the contact.
        words: what would be different, for people.
        size: in (0, 1]: how much of a change it is, 1 where there is no measure.
        apply: the world with it.
    """

    kind: str
    words: str
    size: float
    apply: Callable[[World], World]


@dataclass(frozen=True, slots=True)
class Path:
    """Steps that, taken together, change what is chosen.

    Attributes:
        then: the action chosen then, None for nothing.
        subject: what it is about.
    """

    steps: tuple[Step, ...]
    then: str | None
    subject: str | None

    @property
    def size(self) -> tuple[int, float]:
        """Fewer steps first, then smaller ones."""
        return len(self.steps), sum(step.size for step in self.steps)

    def as_document(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "steps": [{"kind": step.kind, "words": step.words} for step in self.steps],
            "then": self.then,
            "subject": self.subject,
        }
