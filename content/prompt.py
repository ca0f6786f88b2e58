"""The two texts sent to the language model, from a brief alone."""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from content.brief import Brief
from content.syntax import Compiled, compiled

_PROMPTS = Path(__file__).parent / "prompts"
_NAMES = {
    "system": ("language", "tone", "channel", "subject_characters", "body_characters"),
    "user": ("data",),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model is told; `digest` (SHA-256) names both texts, and so the prompts' version."""

    system: str
    user: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.system}\x00{self.user}".encode()).hexdigest()


def prompt_of(brief: Brief) -> Prompt:
    """The prompt for a brief; equal briefs give equal prompts."""
    data = {
        "intent": brief.intent,
        "placeholders": ["{{" + name + "}}" for name in brief.placeholders],
        "facts": list(brief.allowed_facts),
    }
    system = {
        "language": brief.language,
        "tone": brief.tone,
        "channel": brief.channel,
        "subject_characters": str(brief.limits.subject),
        "body_characters": str(brief.limits.body),
    }
    return Prompt(
        system=_load("system").fill(system).strip(),
        user=_load("user").fill({"data": json.dumps(data, ensure_ascii=False)}).strip(),
    )


@cache
def _load(name: str) -> Compiled:
    source = (_PROMPTS / f"{name}.j2").read_text(encoding="utf-8")
    return compiled(source, file=f"prompts/{name}.j2", names=_NAMES[name])
