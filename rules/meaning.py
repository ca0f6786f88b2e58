"""What one rule means, as a digest: what a status, a backtest, an approval is about."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from rules.document import Rule
from rules.expression import expression_of
from rules.vocabulary import Vocabulary

# where it stands, its tests and for whom it is written change nothing; the status is given anew
_NO_MEANING = frozenset({"place", "tests", "status", "why", "owner", "because", "allows"})


def rule_meaning(rule: Rule, vocabulary: Vocabulary) -> str:
    """SHA-256 (hex) of what the rule does: conditions with the features they read, proposal, rest.

    The same for any layout, file, status, test, owner or reason; changed by any change of a
    condition, of the proposal, or of what a name in the vocabulary stands for.
    """
    meaning = {
        "rule": _plain(rule),
        "features": [_plain(spec) for spec in expression_of(rule, vocabulary).features],
        "events": {
            name: vocabulary.types(name)
            for name in (rule.then.goal.event, *(fact.event for fact in rule.then.still))
        },
    }
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:  # noqa: ANN401 - any value of a rule
    """JSON of a value, without what has its default: a setting added later changes no digest."""
    if is_dataclass(value):
        return {
            each.name: _plain(getattr(value, each.name))
            for each in fields(value)
            if each.name not in _NO_MEANING and getattr(value, each.name) != _default(each)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _default(each: Field[Any]) -> object:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return each.default
