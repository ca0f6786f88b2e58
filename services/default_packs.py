"""The shipped rule packs that a tenant without rules of its own starts with.

All of its industry and those for every business, each rule with the status it is shipped with:
what calls people or advertises is shadow, so that somebody looks first whom it would contact.
"""

from functools import cache

from rules.includes import PACKS

# whoever is in none of these sells goods, for all we know
_ANY_INDUSTRY = "retail"
_INDUSTRIES = frozenset({"healthcare", "trades", "professional_services", _ANY_INDUSTRY})
_EVERYBODY = "common"


@cache
def default_packs(industry: str | None) -> tuple[str, ...]:
    """Return the names of the packs of an industry (None: unset) with those for everybody."""
    folder = industry if industry in _INDUSTRIES else _ANY_INDUSTRY
    return (*_packs_in(folder), *_packs_in(_EVERYBODY))


def _packs_in(folder: str) -> tuple[str, ...]:
    paths = sorted((PACKS / folder).glob("*.yaml"))
    return tuple(f"{folder}/{p.stem}" for p in paths if not p.name.endswith(".vocab.yaml"))
