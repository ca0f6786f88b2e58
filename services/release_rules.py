"""Make a release: check it, ask for a second person where it writes to many more, sign it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.errors import Conflict, InvalidInput
from engine.ids import TenantId
from rules.compiled import compile_rules
from rules.document import RuleSet
from services.rules_in_force import Contents, store_release
from services.tenant_settings import SecondPerson, parse_second_person
from store.audit import AuditLine, add_audit
from store.releases import Release
from store.tenants import get_settings


class SecondPersonNeeded(Conflict):
    """The release would propose far more than the one in force, and nobody else has approved it."""

    code = "second_person_needed"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who answers for a release.

    Attributes:
        by: who makes it.
        approved_by: a second person; None if nobody approved.
        reason: in words, for the list of releases.
        via: what carried it, e.g. the id of an API key; for the audit trail.
    """

    by: str
    approved_by: str | None = None
    reason: str = ""
    via: str = ""

    def __post_init__(self) -> None:
        """Refuse a signature without a name, or one that approves itself.

        Raises:
            InvalidInput: either.
        """
        if not self.by.strip():
            raise InvalidInput("A release needs the name of who makes it.", hint="--by NAME")
        if self.approved_by is not None and same_person(self.approved_by, self.by):
            raise InvalidInput(
                f"'{self.approved_by}' can't approve their own release.",
                hint="Let somebody else approve it, or leave the approver out.",
            )


@dataclass(frozen=True, slots=True)
class WeeklyVolume:
    """Contacts that rules propose something for, in a week.

    Attributes:
        before: by the release in force.
        after: by the new one.
        note: how it was found, e.g. that it is a sample, with its interval; may be empty.
    """

    before: float
    after: float
    note: str = ""


# the rules in force (None: there are none yet) and the new ones, with effective statuses
Estimate = Callable[[RuleSet | None, RuleSet], Awaitable[WeeklyVolume]]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the audit trail for what a release changes."""

    action: str
    entity: str
    entity_id: str
    detail: Mapping[str, Any]


def same_person(one: str, other: str) -> bool:
    """Tell whether two names, as people write them, are one."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


async def check_release(
    connection: AsyncConnection,
    tenant_id: TenantId,
    rules: tuple[RuleSet | None, RuleSet],
    signature: Signature,
    estimate: Estimate | None,
) -> WeeklyVolume | None:
    """Check rules (in force, new) for a release; return the estimated volume, if one was asked for.

    Raises:
        MatcherFailed: durable-rules can't carry one of the new rules.
        SecondPersonNeeded: by the tenant's bound on growth, and there is no approver.
    """
    before, after = rules
    compile_rules(after)  # what durable-rules can't carry is refused before it is in force
    if estimate is None:
        return None
    volume = await estimate(before, after)
    bound = parse_second_person(await get_settings(connection, tenant_id))
    if signature.approved_by is None and grows_beyond(volume, bound):
        raise SecondPersonNeeded(
            f"The rules would propose something for {volume.after:,.0f} contacts a week instead of "
            f"{volume.before:,.0f}; more than {bound.above_share:.0%} and "
            f"{bound.above_contacts:,.0f} contacts above need a second person."
            + (f" ({volume.note})" if volume.note else ""),
            hint="Let somebody else look at it and name them: --approved-by NAME",
        )
    return volume


def grows_beyond(volume: WeeklyVolume, bound: SecondPerson) -> bool:
    """Tell whether the growth is above both the share and the number of contacts."""
    growth = volume.after - volume.before
    return growth >= bound.above_contacts and growth > bound.above_share * volume.before


async def put_in_force(
    connection: AsyncConnection,
    tenant_id: TenantId,
    said: Contents,
    signature: Signature,
    changes: Callable[[Release], list[Change]],
) -> Release:
    """Store checked contents as the release in force, with its lines of the audit trail.

    The caller holds the lock, and its transaction is what makes all of it happen or nothing.
    """
    release = await store_release(
        connection,
        tenant_id,
        said,
        by=signature.by,
        approved_by=signature.approved_by,
        reason=signature.reason,
    )
    shared = {"release": release.number, "release_digest": release.digest} | {
        name: value
        for name, value in (
            ("approved_by", signature.approved_by),
            ("reason", signature.reason),
            ("via", signature.via),
        )
        if value
    }
    for change in changes(release):
        line = AuditLine(
            signature.by,
            change.action,
            change.entity,
            change.entity_id,
            {**shared, **change.detail},
        )
        await add_audit(connection, tenant_id, line)
    return release
