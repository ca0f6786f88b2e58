"""The page of settings lists every one that the code reads, in its order, with its default."""

import re
from pathlib import Path

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from services.settings import Settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"
# read by the tests alone, and told on the page below the table
OF_TESTS = {"KEEPWELL_TEST_DATA"}


def rows() -> dict[str, tuple[str, str]]:
    """Variable -> (default, meaning), as the page has them."""
    lines = re.findall(r"^\| `(KEEPWELL_\w+)` \| (.*?) \| (.*) \|$", PAGE.read_text("utf-8"), re.M)
    return {name: (default, meaning) for name, default, meaning in lines}


def test_every_setting_is_on_the_page_in_the_codes_order() -> None:
    assert list(rows()) == [f"KEEPWELL_{name.upper()}" for name in Settings.model_fields]


def test_every_setting_has_its_default_and_a_meaning_on_the_page() -> None:
    for name, field in Settings.model_fields.items():
        default, meaning = rows()[f"KEEPWELL_{name.upper()}"]
        value = field.default
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if value is PydanticUndefined:
            continue  # made when it is needed: the home, in the user's own folder
        assert default == ({None: "unset", "": "empty"}.get(value) or f"`{value}`"), name
        assert meaning.endswith(".")


def test_no_other_variable_is_read_or_told_of() -> None:
    known = {f"KEEPWELL_{name.upper()}" for name in Settings.model_fields} | OF_TESTS
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    code = [path for path in ROOT.glob("*/**/*.py") if path.relative_to(ROOT).parts[0][0] != "."]
    for path in [*pages, *code]:
        named = set(re.findall(r"\bKEEPWELL_[A-Z][A-Z_]*[A-Z]\b", path.read_text("utf-8")))
        assert named <= known, (path.relative_to(ROOT).as_posix(), named - known)
