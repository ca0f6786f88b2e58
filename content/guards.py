"""What generated text must never contain. Pure checks; each hit is a reason to use the template.

There is no complete defence against a model that was led astray (OWASP LLM01:2025), so the text is
held to what is known to be true: no link, no address, no number that was not given, no offer, no
medical promise, no pressure. A false alarm costs a nicer wording; a miss costs trust.
"""

import re
import unicodedata

from content.brief import PLACEHOLDER, Brief
from content.lexicon import MEDICAL, OFFER, REFUSAL, URGENCY

_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("contains_email", re.compile(r"\S+@\S+|\w+\s*(?:\(at\)|\[at\])\s*\w+", re.IGNORECASE)),
    (
        "contains_url",
        # A scheme, 'www.', 'x.test' without a space after the period, or 'x dot com' spelt out.
        re.compile(
            r"[a-z][a-z0-9+.-]*://|\bwww\.|\b[\w-]{2,}\.[a-z]{2,}\b|\bdot\s+(?:com|net|org|io|co)\b",
            re.IGNORECASE,
        ),
    ),
    ("contains_phone", re.compile(r"(?:\d[\s().+-]*){7,}")),
    ("contains_html", re.compile(r"<[a-z/!]|&(?:#\d+|#x[0-9a-f]+|[a-z]+);", re.IGNORECASE)),
    ("contains_markdown", re.compile(r"\]\(|\*\*|__|^#{1,6}\s|```", re.MULTILINE)),
    ("contains_code", re.compile(r"\{%|\{#|\$\{")),
    ("medical_claim", MEDICAL),
    ("urgency", URGENCY),
    ("offer", OFFER),
    ("refusal_text", REFUSAL),
)

# Digits with what belongs to the number: 1,200.50 and 9:30 and 20%.
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_CURRENCY = re.compile(r"[$€£¥%]")


def reasons_against(subject: str | None, body: str, brief: Brief) -> tuple[str, ...]:
    """Why this generated text may not be used, as sorted reason codes; empty if it may.

    Args:
        subject: as generated, placeholders not yet filled; None for an SMS.
        body: likewise.
        brief: what was asked for.
    """
    found = set(_shape_faults(subject, body, brief))
    text = unicodedata.normalize("NFKC", f"{subject or ''}\n{body}")
    # Look-alike quotes would hide "don't" from the lexicon.
    text = text.replace("’", "'").replace("‘", "'")
    used = set(PLACEHOLDER.findall(text))
    if used - set(brief.placeholders):
        found.add("unknown_placeholder")
    bare = PLACEHOLDER.sub(" ", text)
    if "{" in bare or "}" in bare:
        found.add("unknown_placeholder")
    found.update(code for code, pattern in _PATTERNS if pattern.search(bare))
    if _unknown_numbers(bare, brief):
        found.add("unknown_number")
    return tuple(sorted(found))


def _shape_faults(subject: str | None, body: str, brief: Brief) -> list[str]:
    """Faults of length, characters and subject line."""
    faults = {
        "empty": not body.strip(),
        "too_long": len(body) > brief.limits.body,
        "hidden_character": any(_hidden(each) for each in f"{subject or ''}{body}"),
        "subject_not_wanted": brief.channel == "sms" and bool(subject),
    }
    if brief.channel == "email":
        faults |= _subject_faults((subject or "").strip(" "), brief.limits.subject)
    return [code for code, hit in faults.items() if hit]


def _subject_faults(subject: str, limit: int) -> dict[str, bool]:
    letters = [each for each in PLACEHOLDER.sub("", subject) if each.isalpha()]
    shouting = len(letters) > 3 and all(each.isupper() for each in letters)
    reply = re.match(r"(?:re|fwd?)\s*:", subject, re.IGNORECASE) is not None
    return {
        "subject_missing": not subject,
        "subject_line_break": re.search(r"[\r\n]", subject) is not None,
        "subject_too_long": len(subject) > limit,
        # CAN-SPAM, 15 USC 7704(a)(2): a subject must not mislead.
        "subject_misleading": shouting or "!!" in subject or reply,
    }


def _unknown_numbers(text: str, brief: Brief) -> bool:
    """Whether a number, currency or percent sign stands in the text but in no allowed fact."""
    facts = unicodedata.normalize("NFKC", " ".join(brief.allowed_facts))
    known = set(_NUMBER.findall(facts)) | set(_CURRENCY.findall(facts))
    return bool((set(_NUMBER.findall(text)) | set(_CURRENCY.findall(text))) - known)


def _hidden(character: str) -> bool:
    """Control, zero-width, text-direction, private or unassigned; line breaks are fine."""
    return character != "\n" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}
