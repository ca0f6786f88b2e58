"""The HTTP application: `create_app` puts routes, guard, errors and documents together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from api.errors import add_error_handlers
from api.guard import Guard
from api.metrics import Metrics
from api.openapi import add_openapi
from api.rate_limit import RateLimit
from api.routes import (
    approvals,
    campaigns,
    consent,
    contacts,
    decisions,
    events,
    experiments,
    health,
    operation,
    plan,
    policy,
    rule_tools,
    rule_trials,
    rules,
    unsubscribe,
    what_if,
)
from api.trial_slots import TrialSlots
from services.wiring import Runtime

ROUTERS: tuple[APIRouter, ...] = (
    decisions.router,
    events.router,
    contacts.router,
    consent.router,
    health.router,
    rules.router,
    experiments.router,
    policy.router,
    approvals.router,
    plan.router,
    what_if.router,
    campaigns.router,
    rule_tools.router,
    rule_trials.router,
    unsubscribe.router,
    operation.router,
)


def create_app(runtime: Runtime, *, rate_limit: RateLimit | None = None) -> FastAPI:
    """Return the application for one process.

    It closes the runtime's database when the server stops. FastAPI's documentation page is off: it
    loads its scripts from another host; `GET /openapi.json` has the document.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await runtime.database.close()

    app = FastAPI(
        title="Keepwell",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.runtime = runtime
    app.state.rate_limit = rate_limit or RateLimit()
    app.state.trial_slots = TrialSlots()
    app.state.metrics = Metrics()
    for router in ROUTERS:
        # flat, not included: a nested router is matched anew for every request
        app.router.routes.extend(router.routes)
    add_error_handlers(app)
    add_openapi(app)
    app.add_middleware(Guard, metrics=app.state.metrics)
    return app
