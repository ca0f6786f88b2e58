import pytest

from churn.artifact import TrainedModel
from tests.unit.churn.small_business import Business, make_business, trained_on


@pytest.fixture(scope="session")
def business() -> Business:
    return make_business()


@pytest.fixture(scope="session")
def trained(business: Business) -> TrainedModel:
    return trained_on(business)
