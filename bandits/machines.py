"""Opens and clicks that no person made: mail privacy proxies, security scanners, crawlers."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

# steps of the reward ladder a machine can fake; a reply or a booking it does not
FAKED = {"opened": "opened_by_machine", "clicked": "clicked_by_machine"}


def read_by_machine(
    step: str, seconds_after_sending: float, properties: Mapping[str, Any] | None
) -> bool:
    """Whether an open or click was made by a program.

    Args:
        step: of the reward ladder; others than open and click are a person's.
        seconds_after_sending: from the message's acceptance to the event.
        properties: of the event: `machine` (the sender knows), `user_agent` (text), `links_opened`
            (how many different links were followed within the same seconds).

    >>> read_by_machine("clicked", 600.0, {"user_agent": "Barracuda Sentinel (EE)"})
    True
    >>> read_by_machine("clicked", 600.0, {"user_agent": "Mozilla/5.0 (iPhone) Safari/604.1"})
    False
    """
    if step not in FAKED:
        return False
    told = properties or {}
    if told.get("machine") is not None:
        return bool(told["machine"])
    known = _known()
    if 0.0 <= seconds_after_sending < known["seconds_after_sending"]:
        return True
    links = told.get("links_opened")
    if step == "clicked" and isinstance(links, int) and links > 2:
        return True
    agent = str(told.get("user_agent") or "").strip().lower()
    return agent in known["exact_agents"] or any(name in agent for name in known["agents"])


@cache
def _known() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        files("bandits").joinpath("machine_readers.json").read_text(encoding="utf-8")
    )
    return found
