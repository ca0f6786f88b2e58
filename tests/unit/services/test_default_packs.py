"""What a new tenant starts with is sound: nothing to mend, nothing that contradicts itself."""

import pytest

from rules.check import check
from rules.conflicts import conflicts
from services.default_packs import default_packs
from services.rule_texts import pack_texts, parse_texts


@pytest.mark.parametrize("industry", ["healthcare", "trades", "professional_services", None])
def test_the_first_release_of_an_industry_has_no_findings_and_no_conflicts(industry):
    sets = [parse_texts(pack_texts(name)) for name in default_packs(industry)]
    assert [finding for rules in sets for finding in check(rules)] == []
    assert conflicts(sets) == []
