"""A rules file written by a program: plain values as YAML."""

from collections.abc import Mapping
from typing import Any

import yaml


def rules_text(values: Mapping[str, Any], heading: str) -> str:
    """Return the text of a rules file with these settings, under a comment."""
    lines = "".join(f"# {line}\n" for line in heading.splitlines())
    body = yaml.safe_dump(
        dict(values), sort_keys=False, allow_unicode=True, width=96, default_flow_style=False
    )
    return lines + str(body)
