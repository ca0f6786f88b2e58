"""What operators and load balancers ask; no key, no tenant's data."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api.answers import answer
from api.dependencies import RuntimeOf
from api.metrics import CONTENT_TYPE, Metrics
from api.shapes import Alive, Readiness
from services.check_health import check_ready

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Is the process alive?", response_model=Alive)
async def healthz() -> Response:
    """Answer without asking any server: restarting this process would not mend an outage."""
    return answer({"status": "ok"})


@router.get(
    "/readyz",
    summary="Can requests be served?",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "Not now; `checks` says why."}},
)
async def readyz(runtime: RuntimeOf) -> Response:
    """Ask the database and compare its schema with this program's."""
    checks = await check_ready(runtime)
    ready = all(check.state == "ok" for check in checks)
    document = {
        "status": "ready" if ready else "not_ready",
        "checks": [
            {"name": check.name, "state": check.state, "detail": check.detail} for check in checks
        ],
    }
    return answer(document, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counts and durations by route; of this process only."""
    collected: Metrics = request.app.state.metrics
    return Response(collected.text(), headers={"Content-Type": CONTENT_TYPE})
