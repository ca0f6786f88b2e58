"""Rules tried on a tenant's data: one contact, past nights, who is due, verification."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import ReadsDecisionsCall, RuntimeOf, WritesRulesCall
from api.routes.rules import RuleName
from api.rule_documents import RulesFileIn
from api.rule_tool_documents import BacktestIn, LookIn, RecordIn, VerifyIn, given
from api.rule_tool_shapes import Backtested, Due, ExampleRecorded, RuleExplained, Verified, WhyNot
from api.strict_route import StrictRoute
from api.trial_slots import TrialSlots
from services.backtest_rule import Period, backtest_rule
from services.check_due import show_due
from services.explain_rule import explain_rule
from services.record_example import record_example
from services.rule_texts import RuleTexts
from services.verify_rules import verify_rules
from services.why_not import why_not

router = APIRouter(prefix="/v1/rules", tags=["rules"], route_class=StrictRoute)


@router.post("/why-not", summary="Rules nearest to proposing", response_model=WhyNot)
async def ask_why_not(call: ReadsDecisionsCall, body: LookIn, runtime: RuntimeOf) -> Response:
    """List all rules for one contact, the nearest first, with the least change that flips each."""
    return answer(
        await why_not(
            call.connection,
            runtime,
            call.tenant_id,
            body.contact,
            as_of=body.as_of,
            file=_texts(body.file),
        )
    )


@router.get("/due", summary="Who is looked at next", response_model=Due)
async def list_due(
    call: ReadsDecisionsCall, limit: Annotated[int, Query(ge=1, le=1_000)] = 20
) -> Response:
    """List contacts that are looked at by themselves: after an event, or when time is up."""
    return answer(await show_due(call.connection, limit=limit))


@router.post("/verify", summary="Verify the rules now", response_model=Verified)
async def verify(
    request: Request, call: WritesRulesCall, body: VerifyIn, runtime: RuntimeOf
) -> Response:
    """Evaluate the rules for a sample of contacts in every way; live ones that differ are halted.

    Workers do the same every night.
    """

    async def made() -> dict[str, object]:
        found = await verify_rules(
            call.connection, call.tenant_id, as_of=runtime.clock.now(), sample=body.sample
        )
        return {"ok": not found.differences, **asdict(found)}

    return await answer_once(request, call, made)


@router.post("/{rule:path}/explain", summary="Explain a rule", response_model=RuleExplained)
async def explain(
    call: ReadsDecisionsCall, rule: RuleName, body: LookIn, runtime: RuntimeOf
) -> Response:
    """Say why a rule does or doesn't propose for a contact, and what the policy says of it."""
    return answer(
        await explain_rule(
            call.connection,
            runtime,
            call.tenant_id,
            rule,
            body.contact,
            as_of=body.as_of,
            file=_texts(body.file),
        )
    )


@router.post("/{rule:path}/record", summary="Make a test of a contact",
             response_model=ExampleRecorded)  # fmt: skip
async def record(
    call: ReadsDecisionsCall, rule: RuleName, body: RecordIn, runtime: RuntimeOf
) -> Response:
    """Return an in-file test of what the rule says about a contact: masked, with moved dates."""
    file = _texts(body.file)
    assert file is not None  # noqa: S101 - the document demands it
    return answer(
        await record_example(
            call.connection, runtime, call.tenant_id, file, rule, body.contact, as_of=body.as_of
        )
    )


@router.post("/{rule:path}/backtest", summary="Try a rule on past nights",
             response_model=Backtested)  # fmt: skip
async def backtest(
    request: Request, call: WritesRulesCall, rule: RuleName, body: BacktestIn, runtime: RuntimeOf
) -> Response:
    """Return what a rule would have proposed, each night with only what was known then.

    The result is kept: a rule needs one of its present meaning to go live. Two at once run in a
    process; a third is answered 429.
    """
    period = Period(body.first, body.last)
    slots: TrialSlots = request.app.state.trial_slots

    async def made() -> dict[str, object]:
        with slots.take():
            return await backtest_rule(
                call.connection,
                runtime,
                call.tenant_id,
                rule,
                period,
                as_of=body.as_of,
                file=_texts(body.file),
                by=body.by,
            )

    return await answer_once(request, call, made)


def _texts(file: RulesFileIn | None) -> RuleTexts | None:
    found = given(file)
    return None if found is None else found.texts
