"""The states of the United States: zones and area codes, from the shipped file."""

from functools import cache
from pathlib import Path

from engine.policy.whereabouts import Atlas
from rules.policy_data import SHIPPED
from rules.reading import Reader
from rules.source import Node, parse, read_text, refuse

_COUNTRY = "US"


@cache
def atlas(folder: Path = SHIPPED) -> Atlas:
    """Return what the file says, read once; raises InvalidRules with every finding."""
    name = "us_regions.yaml"
    top, findings = parse(read_text(folder / name), name)
    read = Reader(findings)
    words = ("format", "as_of", "source", "states")
    found = read.settings(top, "this file", words, words)
    zones: dict[str, tuple[str, ...]] = {}
    names: dict[str, str] = {}
    codes: dict[str, tuple[str, str]] = {}
    for node in read.items(found.get("states"), "states"):
        line = read.settings(
            node, "a state", ("state", "name", "zones", "codes", "elsewhere"), ("state", "zones")
        )
        state = read.text(line.get("state"), "state")
        region = f"{_COUNTRY}-{state}"
        zones[region] = _texts(read, line.get("zones"))
        names[state.lower()] = names[read.text(line.get("name"), "name").lower()] = region
        codes |= dict.fromkeys(_texts(read, line.get("codes")), (region, zones[region][0]))
        if "elsewhere" in line:
            other = read.settings(line["elsewhere"], "elsewhere", ("zone", "codes"))
            zone = read.text(other.get("zone"), "zone")
            codes |= dict.fromkeys(_texts(read, other.get("codes")), (region, zone))
    refuse(findings, name)
    return Atlas(zones, names, codes)


def _texts(read: Reader, node: Node | None) -> tuple[str, ...]:
    return read.each(node, "a list", lambda each: read.text(each, "a text") or None)
