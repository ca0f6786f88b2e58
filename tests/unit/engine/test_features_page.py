from pathlib import Path
from typing import get_args

from engine.features.catalogue_page import catalogue_table
from engine.features.spec import Kind

PAGE = Path(__file__).parents[3] / "docs" / "features.md"


def test_the_page_lists_every_kind_of_feature_once_and_no_other() -> None:
    rows = [
        line.split("|")[1:5] for line in PAGE.read_text().splitlines() if line.startswith("| `")
    ]
    assert sorted(row[0].strip(" `") for row in rows) == sorted(get_args(Kind))
    assert all(cell.strip() for row in rows for cell in row)


def test_the_page_shows_the_standard_features_as_they_are_defined() -> None:
    shown = (
        PAGE.read_text().partition("<!-- catalogue -->\n")[2].partition("\n<!-- /catalogue -->")[0]
    )
    assert shown == catalogue_table()
