"""A tenant says when a contact counts as gone."""

import pytest

from engine.errors import InvalidInput
from services.churn_definition import set_definition, show_definition
from services.playbook import playbook_at
from tests.factories.practice import MORNING, Practice

pytestmark = pytest.mark.integration


async def test_the_tenants_own_values_take_the_place_of_the_industrys(practice: Practice) -> None:
    async with practice.transaction() as connection:
        start = await show_definition(connection, practice.tenant_id, MORNING)
        told = await set_definition(
            connection, practice.tenant_id, {"longest_limit_days": 400, "min_visits": 2},
            by="ada", at=MORNING,
        )  # fmt: skip
        playbook = await playbook_at(connection, practice.tenant_id, MORNING)
    assert (start["longest_limit_days"], start["own"]) == (540.0, [])
    assert (told["longest_limit_days"], told["min_visits"]) == (400.0, 2)
    assert told["own"] == ["longest_limit_days", "min_visits"]
    assert playbook.definition.longest_limit_days == 400.0
    assert playbook.definition.interval_factor == start["interval_factor"]


@pytest.mark.parametrize(
    "changes", [{}, {"visit_types": 1}, {"interval_factor": -1}, {"shortest_limit_days": 999}]
)
async def test_a_definition_that_can_not_be_is_refused(practice: Practice, changes) -> None:
    with pytest.raises(InvalidInput):
        async with practice.transaction() as connection:
            await set_definition(connection, practice.tenant_id, changes, by="ada", at=MORNING)
    assert await practice.count("keepwell.audit_trail") == 0
