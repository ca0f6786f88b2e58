"""What the experiment's groups are even in, read from its dated file."""

from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).parent / "strata.yaml"


@cache
def tenure_years() -> tuple[int, ...]:
    """Return the years at which a stratum ends and the next one begins, rising."""
    said = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return tuple(sorted(int(year) for year in said["known_for_years"]))
