"""What a language model is asked to write, and the little it is told.

It sees an intent, a tone, a channel, placeholders and facts that hold for everybody. It never sees
a name, an address, a number, a birth date or a diagnosis; placeholders are filled afterwards.
"""

import re
from dataclasses import dataclass

from content.facts import FACTS
from engine.errors import InvalidInput

# A placeholder in generated text: two braces and a declared name.
PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_TONES = ("friendly", "brief", "formal", "warm")
_CHANNELS = ("email", "sms")
_LANGUAGE = re.compile(r"[a-z]{2}(?:-[A-Z]{2})?")
# What a fact for everybody never holds: addresses, links, numbers to call, exact dates.
_PERSONAL = re.compile(
    r"[\w.+-]+@[\w-]+\.|https?://|www\.|(?:\d[\s().-]*){7,}|\b\d{4}-\d{2}-\d{2}\b"
    r"|\b\d{1,2}[/.]\d{1,2}[/.]\d{2,4}\b",
    re.IGNORECASE,
)


class InvalidBrief(InvalidInput):
    code = "invalid_brief"


@dataclass(frozen=True, slots=True)
class Limits:
    """Longest texts the model may write, in characters, before placeholders are filled."""

    subject: int = 80
    body: int = 900


# Name of the sender and 'Reply STOP to opt out' are added by code and take 160 - 90 characters.
SMS_LIMITS = Limits(subject=0, body=90)


@dataclass(frozen=True, slots=True)
class Brief:
    """One writing task.

    Attributes:
        intent: what the message is for, in a sentence the rule's author wrote.
        tone: friendly, brief, formal or warm.
        channel: email or sms; call tasks are never drafted.
        language: BCP 47, e.g. en or en-US.
        placeholders: names from `facts.FACTS` that may be used and have a value.
        allowed_facts: sentences that are true for everybody and may be repeated, numbers
            included, e.g. "A visit takes 30 minutes."; nothing else with a number may be said.
        limits: lengths.

    Raises:
        InvalidBrief: an unknown tone, channel or placeholder, or a text that looks personal.
    """

    intent: str
    tone: str = "friendly"
    channel: str = "email"
    language: str = "en"
    placeholders: tuple[str, ...] = ("first_name", "practice_name")
    allowed_facts: tuple[str, ...] = ()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        for value, known in ((self.tone, _TONES), (self.channel, _CHANNELS)):
            if value not in known:
                raise InvalidBrief(f"{value!r} is unknown.", hint=f"Known: {', '.join(known)}.")
        if not _LANGUAGE.fullmatch(self.language):
            raise InvalidBrief(f"{self.language!r} is no language.", hint="For example: en, en-US.")
        for name in self.placeholders:
            if name not in FACTS or FACTS[name].staff_only:
                raise InvalidBrief(f"{name!r} is no placeholder.", hint="See content/facts.py.")
        for text in (self.intent, *self.allowed_facts):
            _check_text(text)


def _check_text(text: str) -> None:
    if not 0 < len(text) <= 300 or "\n" in text:
        raise InvalidBrief(
            "A text of the brief is empty, too long or has line breaks.",
            hint="Up to 300 characters in one line.",
        )
    if _PERSONAL.search(text):
        raise InvalidBrief(
            f"The brief holds what looks like an address, a number to call or a date: {text!r}.",
            hint="Use a placeholder; values are filled in after the text was written.",
        )
