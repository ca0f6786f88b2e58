"""Once a night: what nobody answered teaches too, evidence ages, and states nobody names go."""

from datetime import timedelta

from engine.ids import TenantId
from services.learn import learn, relearn
from services.wiring import Runtime
from store.learning import drop_unused_policy_states, find_policy_state_made, lock_learning

_LEAST_HOURS = 20  # between two nights' work
# A decision may be made for a moment that lies back, and asks for the state of then.
_KEPT_DAYS = 7


async def learn_tonight(runtime: Runtime, tenant_id: TenantId) -> int:
    """Learn in a transaction of its own; return how many rewards were new.

    Workers learn within seconds of an outcome; messages without any are first counted here. Where
    nothing came for a day the state is made anew all the same: evidence is a day older, and more
    of what young decisions will bring should have come.
    """
    async with runtime.database.transaction(tenant_id) as connection:
        count = await learn(connection, tenant_id)
        now = runtime.clock.now()
        made = await find_policy_state_made(connection)
        if made is not None and now - made >= timedelta(hours=_LEAST_HOURS):
            await lock_learning(connection, tenant_id)
            await relearn(connection, tenant_id)
        await drop_unused_policy_states(connection, now - timedelta(days=_KEPT_DAYS))
        return count
