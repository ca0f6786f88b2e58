import pytest

from churn.artifact import TrainedModel
from churn.train import train
from tests.unit.churn.small_business import QUICK, Business, make_business


@pytest.fixture(scope="session")
def business() -> Business:
    return make_business()


@pytest.fixture(scope="session")
def trained(business: Business) -> TrainedModel:
    return train(
        business.contacts,
        business.events,
        business.definition,
        as_of=business.until,
        settings=QUICK,
    )
