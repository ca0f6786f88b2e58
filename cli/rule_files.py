"""Which rule and vocabulary files a command means."""

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import InvalidInput, NotFound
from rules.findings import suggestion
from rules.includes import PACKS, shipped

Files = Annotated[
    list[Path] | None, typer.Argument(help="Rule files or folders. [default: the shipped packs]")
]
_ENDING = ".vocab.yaml"
_DEFAULT = "common.vocab.yaml"


def rule_files(given: list[Path] | None, *, vocabularies: bool = False) -> list[Path]:
    """The YAML files named or inside folders named, sorted; vocabularies only if asked for.

    Raises NotFound for a path that is not there.
    """
    found: list[Path] = []
    for path in given or [PACKS]:
        if not path.exists():
            raise NotFound(f"There is no file or folder '{path}'.")
        inside = path.rglob("*.yaml") if path.is_dir() else [path]
        found += [each for each in inside if vocabularies or not each.name.endswith(_ENDING)]
    return sorted(set(found))


def vocabulary_file(given: str | None) -> Path:
    """The file of a vocabulary: a path, or the name of a shipped one.

    Without a name it is the only one in the current folder, else the shipped common one.

    Raises:
        NotFound: there is no such file.
        InvalidInput: nothing was named and the current folder has several.
    """
    if given is None:
        here = sorted(Path().glob(f"*{_ENDING}"))
        if len(here) > 1:
            names = ", ".join(path.name for path in here)
            raise InvalidInput("This folder has several vocabularies.", hint=f"Name one: {names}")
        return here[0] if here else vocabulary_file(_DEFAULT)
    path = Path(given)
    if path.is_file():
        return path
    found = shipped(given if given.endswith(_ENDING) else given + _ENDING)
    if found is None:
        known = (path.name for path in PACKS.rglob(f"*{_ENDING}"))
        raise NotFound(f"There is no vocabulary '{given}'.", hint=suggestion(given, known))
    return found
