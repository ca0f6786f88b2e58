"""Go back to an earlier release of the rules, as a new one that says the same."""

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, NotFound
from engine.ids import TenantId
from services.release_rules import Change, Estimate, Signature, check_release, put_in_force
from services.rules_in_force import contents_of, locked_release
from store.releases import Release, find_release


class ReleaseNotFound(NotFound):
    code = "release_not_found"


class NoEarlierRelease(Conflict):
    code = "no_earlier_release"


async def roll_back_rules(
    connection: AsyncConnection,
    tenant_id: TenantId,
    signature: Signature,
    *,
    to: int | None = None,
    estimate: Estimate | None = None,
) -> Release:
    """Put an earlier release in force again under a new number; `to` None: the one before.

    Statuses come back with it, so a rule that was halted since is live again. If what is in force
    says the same as release `to`, it stays and is returned.

    Raises:
        ReleaseNotFound: there is no release of this number.
        NoEarlierRelease: there is nothing to go back to.
        RuleSetNotFound, InvalidRules: its files are lost, or this version refuses them.
        SecondPersonNeeded: see `check_release`.
    """
    release = await locked_release(connection, tenant_id)
    earlier = await _wanted(connection, release, to)
    if earlier.digest == release.digest:
        return release
    before = (await contents_of(connection, release)).rule_set()
    after = await contents_of(connection, earlier)
    await check_release(connection, tenant_id, (before, after.rule_set()), signature, estimate)
    detail = {"from": release.number, "to": earlier.number, "digest": earlier.digest}
    return await put_in_force(
        connection,
        tenant_id,
        after,
        signature,
        lambda made: [Change("roll_back", "rule_release", str(made.number), detail)],
    )


async def _wanted(connection: AsyncConnection, release: Release, to: int | None) -> Release:
    if to is not None:
        named = await find_release(connection, to)
        if named is None:
            raise ReleaseNotFound(
                f"There is no release {to}.", hint="'keepwell rules releases' lists them."
            )
        return named
    found = await find_release(connection, release.number - 1)
    if found is None:
        raise NoEarlierRelease("There is no earlier release.")
    return found
