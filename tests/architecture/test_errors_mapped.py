"""Every error of the product has an HTTP status that somebody chose."""

import importlib
import pkgutil
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from api.errors import STATUS, status_of
from engine.errors import KeepwellError

PACKAGES = (
    "engine",
    "rules",
    "bandits",
    "churn",
    "content",
    "store",
    "embedded",
    "gateways",
    "services",
    "api",
    "workers",
    "cli",
    "simulate",
)


def all_errors(kind: type[KeepwellError] = KeepwellError) -> Iterator[type[KeepwellError]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from all_errors(inner)


@pytest.fixture(scope="module", autouse=True)
def _everything_imported() -> None:
    for name in PACKAGES:
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, prefix=f"{name}."):
            if not module.name.startswith("store.migrations"):
                importlib.import_module(module.name)


def test_every_error_has_a_status_below_the_catch_all():
    unmapped = {
        error.__qualname__
        for error in all_errors()
        if not any(kind in STATUS for kind in error.__mro__ if kind is not KeepwellError)
    }
    assert unmapped == set()
    assert len(set(all_errors())) > 20


def test_every_error_has_a_stable_code_of_its_own():
    codes: dict[str, str] = {}
    for error in set(all_errors()):
        assert "code" in vars(error), f"{error.__qualname__} shares its parent's code"
        assert codes.setdefault(error.code, error.__qualname__) == error.__qualname__


def test_faults_of_ours_are_no_fault_of_the_client():
    ours = {e.code for e in all_errors() if status_of(e) >= HTTPStatus.INTERNAL_SERVER_ERROR}
    assert {"database_unavailable", "schema_mismatch", "model_unusable"} <= ours
    theirs = {e.code for e in all_errors()} - ours
    assert {"contact_not_found", "invalid_input", "rate_limited"} <= theirs
