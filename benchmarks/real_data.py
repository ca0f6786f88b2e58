"""Where the public data lie that a figure is measured on."""

import os
from pathlib import Path


def real_file(name: str) -> Path | None:
    """The file in the folder of `KEEPWELL_TEST_DATA` or ../shared/data; None where it is not."""
    named = os.environ.get("KEEPWELL_TEST_DATA")
    parents = Path(__file__).resolve().parents
    folders = [Path(named)] if named else [each / "shared" / "data" for each in parents[1:4]]
    return next((folder / name for folder in folders if (folder / name).exists()), None)
