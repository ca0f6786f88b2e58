"""Writes a file so that a reader finds the old text or the new one, never a part."""

import os
import tempfile
from pathlib import Path

from engine.errors import InvalidInput


def write_text(path: Path, text: str) -> None:
    """Replace the file's text in one step; a new file gets the usual rights, an old one keeps its.

    Raises InvalidInput if the place can't be written to; the old file is then as it was.
    """
    target = path.resolve()
    try:
        rights = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_mask()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            Path(name).chmod(rights)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise InvalidInput(f"'{path}' can't be written: {reason}.") from error


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
