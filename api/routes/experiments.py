"""Experiments on messages, and what the engine is worth."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from api.answers import answer, answer_once
from api.dependencies import Now, ReadsDecisionsCall, WritesRulesCall
from api.experiment_documents import (
    Experiment,
    Experiments,
    ExperimentSoFar,
    LiftReport,
    PlanExperimentIn,
    PlannedExperiment,
    StartExperimentIn,
    StopExperimentIn,
    UpliftReport,
)
from api.strict_route import StrictRoute
from services.plan_experiment import ExperimentWish, plan_experiment
from services.report_lift import LiftQuestion, report_lift
from services.report_uplift import report_uplift
from services.show_experiments import show_experiment, show_experiments
from services.start_experiment import start_planned
from services.stop_experiment import stop_by_hand

router = APIRouter(prefix="/v1", tags=["experiments"], route_class=StrictRoute)

Named = Annotated[
    str, Path(description="Name of the experiment.", max_length=80, examples=["recall-wording"])
]


@router.get("/experiments", summary="List experiments", response_model=Experiments)
async def list_all(
    call: ReadsDecisionsCall,
    state: Annotated[Literal["planned", "running", "stopped"] | None, Query()] = None,
) -> Response:
    """Return experiments, newest first, and the newest notices about them."""
    return answer(await show_experiments(call.connection, state=state))


@router.post("/experiments", summary="Plan an experiment", response_model=PlannedExperiment)
async def plan(
    request: Request, call: WritesRulesCall, now: Now, body: PlanExperimentIn
) -> Response:
    """Store a plan and return how many messages and weeks it will take."""
    wish = ExperimentWish(
        name=body.name,
        action=body.action,
        by=body.by,
        arms=tuple(body.arms),
        smallest=body.smallest,
        rate=body.rate,
        alpha=body.alpha,
        power=body.power,
    )

    async def made() -> dict[str, object]:
        return await plan_experiment(call.connection, call.tenant_id, wish, now=now)

    return await answer_once(request, call, made)


@router.get("/experiments/{name}", summary="Read an experiment", response_model=ExperimentSoFar)
async def read(call: ReadsDecisionsCall, now: Now, name: Named) -> Response:
    """Return its arms so far with always-valid intervals, and how much longer it will take."""
    return answer(await show_experiment(call.connection, call.tenant_id, name, now=now))


@router.post("/experiments/{name}/start", summary="Start an experiment", response_model=Experiment)
async def start(
    request: Request, call: WritesRulesCall, name: Named, body: StartExperimentIn
) -> Response:
    """From now on the arms are drawn evenly by chance; one experiment per action at a time."""

    async def made() -> dict[str, object]:
        return await start_planned(call.connection, call.tenant_id, name, by=body.by)

    return await answer_once(request, call, made)


@router.post("/experiments/{name}/stop", summary="Stop an experiment", response_model=Experiment)
async def stop(
    request: Request, call: WritesRulesCall, name: Named, body: StopExperimentIn
) -> Response:
    """Stop a running experiment for good."""

    async def made() -> dict[str, object]:
        return await stop_by_hand(
            call.connection, call.tenant_id, name, by=body.by, reason=body.reason
        )

    return await answer_once(request, call, made)


@router.get("/reports/lift", summary="What the engine is worth", response_model=LiftReport)
async def read_lift(
    call: ReadsDecisionsCall,
    now: Now,
    since: Annotated[datetime | None, Query(description="Default: a year back.")] = None,
    against: Annotated[Literal["holdout", "usual", "random"], Query()] = "holdout",
) -> Response:
    """Compare the experiment's groups over everybody in them, written to or not."""
    question = LiftQuestion(since, against)
    return answer(await report_lift(call.connection, call.tenant_id, question, now=now))


@router.get(
    "/reports/uplift",
    summary="Whether those are contacted whom it changes",
    response_model=UpliftReport,
)
async def read_uplift(
    call: ReadsDecisionsCall,
    now: Now,
    since: Annotated[datetime | None, Query(description="Default: a year back.")] = None,
) -> Response:
    """Return the Qini curve and uplift at k of the ranking by expected effect."""
    return answer(await report_uplift(call.connection, now=now, since=since))
