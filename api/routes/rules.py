"""The rules in force, and their life cycle: publish, promote, halt, roll back."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import ReadsRulesCall, RuntimeOf, WritesRulesCall
from api.rule_documents import HaltIn, PromoteIn, PublishIn, RollBackIn, SignedIn
from api.shapes import Published, Releases, RuleRelease, RulesInForce
from api.strict_route import StrictRoute
from services.halt_rules import halt_rules
from services.promote_rule import promote_rule
from services.publish_rules import Publication, publish_rules
from services.release_rules import Signature
from services.roll_back_rules import roll_back_rules
from services.rule_texts import texts_of
from services.rule_volume import volume_estimate
from services.show_rules import (
    publication_document,
    release_document,
    show_releases,
    show_rules,
)

router = APIRouter(prefix="/v1/rules", tags=["rules"], route_class=StrictRoute)

RuleName = Annotated[
    str, Path(description="Id of the rule.", max_length=200, examples=["clinic.no-show-rescue"])
]


@router.get("", summary="List the rules in force", response_model=RulesInForce)
async def list_rules(call: ReadsRulesCall) -> Response:
    """Return the release in force and its rules, each with its status, owner and file.

    `release` is null for a tenant that has not decided or published anything yet.
    """
    return answer(await show_rules(call.connection))


@router.get("/releases", summary="List the releases of the rules", response_model=Releases)
async def list_releases(
    call: ReadsRulesCall,
    before: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Only releases with lower numbers.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Return releases, newest first; the first of all is in force.

    `next` is the `before` of the next page, null on the last one.
    """
    found = await show_releases(call.connection, before=before, limit=limit + 1)
    page = found[:limit]
    following = page[-1]["number"] if len(found) > limit else None
    return answer({"releases": page, "next": following})


@router.post("/releases", summary="Publish rules files", response_model=Published)
async def publish(
    request: Request, call: WritesRulesCall, body: PublishIn, runtime: RuntimeOf
) -> Response:
    """Check the files and their tests and put them in force, all or none.

    A file replaces the one of its name; `remove` takes files out. Faults of all files are answered
    together with their places, and what is in force stays. With `dry_run` everything is checked and
    nothing changed.
    """
    signature = _signed(request, body)
    files = tuple(texts_of(each.name, each.document, each.vocabulary) for each in body.files)
    wish = Publication(files, tuple(body.remove), body.dry_run)

    async def made() -> dict[str, object]:
        estimate = volume_estimate(call.connection, runtime, call.tenant_id)
        published = await publish_rules(
            call.connection, call.tenant_id, wish, signature, estimate=estimate
        )
        return publication_document(published)

    return await answer_once(request, call, made)


@router.post("/rollback", summary="Go back to an earlier release", response_model=RuleRelease)
async def roll_back(request: Request, call: WritesRulesCall, body: RollBackIn) -> Response:
    """Put an earlier release in force again, as a new one that says the same."""
    signature = _signed(request, body)

    async def made() -> dict[str, object]:
        return release_document(
            await roll_back_rules(call.connection, call.tenant_id, signature, to=body.to)
        )

    return await answer_once(request, call, made)


@router.post("/{rule:path}/promote", summary="Give a rule a status", response_model=RuleRelease)
async def promote(
    request: Request, call: WritesRulesCall, rule: RuleName, body: PromoteIn
) -> Response:
    """Make a rule draft, shadow, live or retired; returns the release in force.

    `live` asks for tests that pass and show every condition both ways, a backtest of the rule as it
    stands, and an approver who neither wrote it nor promotes it; all that is missing is answered at
    once.
    """
    signature = _signed(request, body)

    async def made() -> dict[str, object]:
        return release_document(
            await promote_rule(call.connection, call.tenant_id, rule, body.status, signature)
        )

    return await answer_once(request, call, made)


@router.post("/{rule:path}/halt", summary="Halt a rule at once", response_model=RuleRelease)
async def halt(request: Request, call: WritesRulesCall, rule: RuleName, body: HaltIn) -> Response:
    """Make a live rule shadow: it goes on deciding, and what it has queued is not sent."""

    async def made() -> dict[str, object]:
        reasons = {rule: body.reason}
        halted = await halt_rules(
            call.connection, call.tenant_id, reasons, body.by, via=_via(request)
        )
        return release_document(halted)

    return await answer_once(request, call, made)


def _signed(request: Request, body: SignedIn) -> Signature:
    return Signature(body.by, body.approved_by, body.reason, _via(request))


def _via(request: Request) -> str:
    return f"api key {request.state.key_id}"
