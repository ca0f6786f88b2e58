"""Texts that a tenant has written itself, known to the process by the digest of what they say.

The digest is the template's name, so a text that was read once never changes and may be kept.
"""

import hashlib
import json
from collections.abc import Mapping

PREFIX = "own/"
_DIGEST_LETTERS = 32  # 128 bits: nobody meets another's by chance

# (channel, variant) -> the text of a template file
Texts = Mapping[tuple[str, str], str]
_known: dict[str, Texts] = {}


def own_template(owner: str, texts: Texts) -> str:
    """Return the name of the template that these texts are; another owner's has another name.

    >>> own_template("practice", {("sms", "a"): "Hello"})
    'own/74229cdb823a54c02bf65bc679ee5328'
    """
    said = [owner, sorted([*place, source] for place, source in texts.items())]
    return PREFIX + hashlib.sha256(json.dumps(said).encode()).hexdigest()[:_DIGEST_LETTERS]


def keep_own(template: str, texts: Texts) -> None:
    """Make the texts of a template known to this process."""
    _known[template] = dict(texts)


def own_texts(template: str) -> Texts:
    """Return the texts of a template; empty if this process has not read it."""
    return _known.get(template, {})


def is_known(template: str) -> bool:
    """Tell whether this process has read the template."""
    return template in _known
