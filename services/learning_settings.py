"""How a tenant wants its bandits to choose: the setting `learning` of the tenant."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bandits.state import DEFAULT_NOISE, HIERARCHICAL, POLICIES
from engine.errors import InvalidInput
from engine.ids import TenantId
from store.tenants import get_industry, get_settings


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """The setting with its defaults.

    Attributes:
        policy: one of `bandits.state.POLICIES`.
        noise: share of the uncertainty that is drawn with in the end, in (0, 1].
        pool: counts are lent to and borrowed from the industry's other tenants.
        industry: of the tenant; None: nothing to pool with.
    """

    policy: str = HIERARCHICAL
    noise: float = DEFAULT_NOISE
    pool: bool = True
    industry: str | None = None


async def learning_settings(connection: AsyncConnection, tenant_id: TenantId) -> LearningSettings:
    """Return what the tenant of this transaction has set.

    Raises:
        InvalidInput: the setting can't be meant.
    """
    told = (await get_settings(connection, tenant_id)).get("learning") or {}
    return parse_learning(told, await get_industry(connection))


def parse_learning(told: Mapping[str, Any], industry: str | None) -> LearningSettings:
    """Return the setting `learning: {policy, noise, pool}`.

    Raises:
        InvalidInput: a value is outside its range, or a name is unknown.
    """
    unknown = set(told) - {"policy", "noise", "pool"}
    if unknown:
        raise InvalidInput(
            f"The setting 'learning' has no {sorted(unknown)}.",
            hint="It has policy, noise and pool; the exploration floor is the policy's.",
        )
    policy, noise = told.get("policy", HIERARCHICAL), told.get("noise", DEFAULT_NOISE)
    pool = told.get("pool", True)
    if policy not in POLICIES:
        raise InvalidInput(
            f"The setting 'learning' names the policy {policy!r}.",
            hint=f"Choose one of {', '.join(POLICIES)}.",
        )
    if not (_is_number(noise) and 0.01 <= noise <= 1.0):
        raise InvalidInput(
            f"The setting 'learning' has the noise {noise!r}.", hint="It lies between 0.01 and 1."
        )
    if not isinstance(pool, bool):
        raise InvalidInput(f"The setting 'learning' has pool {pool!r}.", hint="true or false.")
    return LearningSettings(policy, float(noise), pool, industry)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
