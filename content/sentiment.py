"""How a customer's text sounds: VADER's lexicon and rules, offline, with a calibrated probability.

Chosen and measured in `docs/decisions/0010-tone-by-lexicon.md`; `python -m benchmarks.sentiment`
judges it on any file of labelled texts.
"""

import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

# P(positive) = 1 / (1 + exp(-(SLOPE x compound + INTERCEPT))), two round numbers near the least log
# loss over 3,000 sentences of reviews. The intercept says that faint praise is no praise.
SLOPE, INTERCEPT = 4.5, -0.5
MAX_CHARACTERS = 5_000  # of a long mail the rest is quoted history

_WORD = re.compile(r"[^\W\d_]+")
# Words that English lacks and other languages are full of. VADER's lexicon is English: where these
# outnumber English ones it would rate false friends.
_OTHER = frozenset(
    _WORD.findall(
        "el los las una uno que por para con muy pero como está estoy fue ser mi su nos les uma um "
        "não com muito mas foi meu sua você obrigado gracias le des une est pas pour avec très "
        "mais je vous nous mon merci der das und nicht ist ein eine mit für sehr ich wir danke il "
        "gli di che non sono molto per grazie"
    )
)
_ENGLISH = frozenset(
    _WORD.findall(
        "the and to of is it was that for with this you we my not have had but are be they our on "
        "at in so as were has very all your their me will would no can if an from or i a"
    )
)


@dataclass(frozen=True, slots=True)
class Tone:
    """How a text sounds.

    Attributes:
        score: -1 angry to 1 delighted (VADER's compound).
        positive_probability: P(a reader calls the text positive), in (0, 1).
    """

    score: float
    positive_probability: float


@cache
def model_name() -> str:
    """Name and version under which ratings are stored; another one rates everything anew."""
    return f"vader-{version('vaderSentiment')}/{SLOPE}/{INTERCEPT}"


def rate(text: str) -> Tone | None:
    """The tone of a text; None where nothing can be said of it.

    That is: no word of the lexicon in it, or written in a language other than English.

    >>> rate("Tuesday at nine.") is None
    True
    >>> rate("Friendly staff, great work!").score > 0.5
    True
    """
    words = [word.lower() for word in _WORD.findall(text[:MAX_CHARACTERS])]
    foreign = sum(word in _OTHER for word in words)
    if foreign > sum(word in _ENGLISH for word in words):
        return None
    score = float(_analyzer().polarity_scores(text[:MAX_CHARACTERS])["compound"])
    if score == 0.0:
        return None
    return Tone(score, probability(score))


def probability(score: float) -> float:
    """P(positive) of a score."""
    return 1.0 / (1.0 + math.exp(-(SLOPE * score + INTERCEPT)))


@cache
def _analyzer() -> Any:  # noqa: ANN401 - the library has no types
    return SentimentIntensityAnalyzer()
