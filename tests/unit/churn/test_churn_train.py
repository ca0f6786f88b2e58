from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from churn import artifact
from churn.artifact import Calibration, TrainedModel
from churn.calibrate import MIN_EVENTS, fit_sigmoid, sigmoid
from churn.features import churn_features
from churn.hazard_blend import TREE_SHARE
from churn.labels import outcomes, person_periods, rolling_origins, visits_of
from churn.snapshots import History, snapshot
from churn.train import train
from engine.errors import InvalidInput, TooFewData
from engine.features.spec import Feature
from tests.unit.churn.small_business import QUICK, Business, event_frame, make_business


def scrambled_after(business: Business, moment: object, seed: int) -> pl.DataFrame:
    """The same events up to the moment; after it the same times with other contacts and types."""
    past = business.events.filter(pl.col("occurred_at") <= moment)
    rest = business.events.filter(pl.col("occurred_at") > moment)
    return pl.concat(
        [past, rest.with_columns(pl.col("contact_id", "type", "amount_cents").shuffle(seed))]
    )


def test_what_happens_after_the_origin_changes_no_feature_and_nobody_at_risk(business: Business):
    origin = business.until - timedelta(days=200)
    specs = churn_features(business.definition)

    def seen(events: pl.DataFrame):
        visits = visits_of(events, business.definition, business.until)
        history = History(business.contacts, events, visits)
        return snapshot(history, origin, business.definition, specs)

    known, other = seen(business.events), seen(scrambled_after(business, origin, seed=1))
    assert known.contacts.height > 100
    assert known.contacts.equals(other.contacts)
    assert known.tenant_median_days == other.tenant_median_days
    np.testing.assert_array_equal(known.features, other.features)


def test_what_happens_after_trained_until_changes_the_test_but_not_the_model(
    business: Business, trained: TrainedModel
):
    # the newest visit stays, so that the test origin stays where it is
    last = business.events.filter(pl.col("type") == "appointment.kept").tail(1)
    others = business.events.join(last, on=["contact_id", "occurred_at"], how="anti")
    scrambled = scrambled_after(replace(business, events=others), trained.trained_until, seed=2)
    events = pl.concat([scrambled, last])
    again = train(
        business.contacts, events, business.definition, as_of=business.until, settings=QUICK
    )
    assert again.booster == trained.booster
    assert again.calibration == trained.calibration
    assert again.tenant_median_days == trained.tenant_median_days
    assert again.metrics != trained.metrics


def test_events_after_the_moment_of_training_do_not_exist(business: Business):
    as_of = business.until - timedelta(days=60)
    known = business.events.filter(pl.col("occurred_at") <= as_of)
    whole = train(
        business.contacts, business.events, business.definition, as_of=as_of, settings=QUICK
    )
    cut = train(business.contacts, known, business.definition, as_of=as_of, settings=QUICK)
    assert artifact.dump(whole) == artifact.dump(cut)
    assert whole.trained_until <= as_of - timedelta(days=120)


def test_the_same_data_in_another_order_give_the_same_model_to_the_bit(
    business: Business, trained: TrainedModel
):
    again = train(
        business.contacts.reverse(),
        business.events.sample(fraction=1.0, shuffle=True, seed=3),
        business.definition,
        as_of=business.until,
        settings=QUICK,
    )
    assert artifact.digest(artifact.dump(again)) == artifact.digest(artifact.dump(trained))


def test_the_model_ranks_unseen_departures_and_says_beside_what(trained: TrainedModel):
    found = trained.metrics["all"][90]
    assert found.n >= 100
    # 73 of 165 leave: the standard error of an AUC is about 0.04, a coin's upper 3-sigma bound 0.62
    assert found.auc is not None
    assert found.auc > 0.62
    base = found.base_rate
    assert found.log_loss < -base * np.log(base) - (1 - base) * np.log(1 - base)
    assert set(trained.metrics["all"]) == {30, 60, 90, 120}


def test_members_learn_from_every_origin_before_the_test_followed_up_to_it(
    business: Business, trained: TrainedModel
):
    visits = visits_of(business.events, business.definition, business.until)
    origins = rolling_origins(visits["occurred_at"].min(), visits["occurred_at"].max())
    assert origins.test == trained.trained_until
    history = History(business.contacts, business.events, visits)
    specs = churn_features(business.definition)

    def rows(moments: Iterable[datetime], until: datetime) -> int:
        total = 0
        for moment in moments:
            seen = snapshot(history, moment, business.definition, specs)
            found = outcomes(seen.contacts, visits, origin=moment, data_until=until)
            total += person_periods(found, seen.days_to_limit).row.size
        return total

    assert len(origins.calibration) == 2
    assert trained.training_rows == rows(origins.training, origins.test)
    # the last origins are not closed: what is known of them is learnt, the rest is censored
    assert rows(origins.training[-1:], origins.test) < rows(origins.training[-1:], business.until)


def test_origins_of_less_than_a_year_leave_the_odds_as_they_are(trained: TrainedModel):
    assert trained.calibration == Calibration()
    assert TREE_SHARE / 2 <= trained.tree_share <= (1 + TREE_SHARE) / 2


def test_a_history_with_every_season_calibrates_on_origins_the_trial_had_not_seen():
    old = make_business(contacts=350, days=930, seed=8)
    model = train(
        old.contacts, old.events, old.definition, as_of=old.until, settings=replace(QUICK, trees=20)
    )
    assert model.calibration.events >= MIN_EVENTS
    assert model.calibration.rows < model.training_rows / 3
    assert model.calibration.slope != 1


def test_of_a_large_business_a_sample_is_learnt_from(business: Business, trained: TrainedModel):
    few = replace(QUICK, most_contacts=250)
    models = [
        train(
            business.contacts.sample(fraction=1.0, shuffle=True, seed=seed),
            business.events,
            business.definition,
            as_of=business.until,
            settings=few,
        )
        for seed in (1, 2)
    ]
    assert artifact.dump(models[0]) == artifact.dump(models[1])
    assert models[0].contacts <= 250 < trained.contacts
    assert models[0].trained_until == trained.trained_until


def test_attributes_of_today_are_not_learnt_from(business: Business):
    specs = (
        *churn_features(business.definition),
        Feature("status", "attribute", attribute="status"),
        Feature("days_to_renewal", "days_until_date", attribute="renewal"),
    )
    model = train(
        business.contacts.with_columns(status=pl.lit("left"), renewal=pl.lit("2025-01-01")),
        business.events,
        business.definition,
        as_of=business.until,
        specs=specs,
        settings=QUICK,
    )
    assert not {"status", "days_to_renewal"} & set(model.feature_names)


def test_one_name_for_two_features_is_refused(business: Business):
    wrong = Feature("visits_total", "count", ("invoice.issued",))
    with pytest.raises(InvalidInput, match="visits_total"):
        train(
            business.contacts,
            business.events,
            business.definition,
            as_of=business.until,
            specs=(wrong,),
        )


def test_six_weeks_of_visits_are_too_few_and_the_error_says_what_it_takes():
    clinic = make_business(contacts=300, days=42)
    with pytest.raises(TooFewData) as refused:
        train(clinic.contacts, clinic.events, clinic.definition, as_of=clinic.until)
    assert "41 days" in refused.value.message or "40 days" in refused.value.message
    for needed in ("350 days", "200 contacts", "50 that left"):
        assert needed in refused.value.hint


@pytest.mark.parametrize("contacts", [0, 150])
def test_too_few_contacts_are_refused(contacts: int):
    few = make_business(contacts=contacts) if contacts else None
    base = make_business(contacts=1)
    events = few.events if few else event_frame([])
    with pytest.raises(TooFewData, match="contacts"):
        train(base.contacts, events, base.definition, as_of=base.until)


def test_a_business_nobody_leaves_can_not_be_learnt_from(business: Business):
    rows = [
        (f"c{n:04}", "appointment.kept", business.until - timedelta(days=n % 20 + 20 * k), 100)
        for n in range(250)
        for k in range(20)
    ]
    contacts = pl.DataFrame({"contact_id": [f"c{n:04}" for n in range(250)], "timezone": "UTC"})
    with pytest.raises(TooFewData, match="0 contacts left"):
        train(contacts, event_frame(rows), business.definition, as_of=business.until)


def test_the_sigmoid_repairs_odds_that_are_too_flat():
    rng = np.random.default_rng(5)
    truth = rng.normal(0, 2, 20_000)
    event = rng.random(20_000) < sigmoid(truth)
    found = fit_sigmoid(truth / 2 - 1, event)
    # true slope 2, intercept 2; standard errors at this size are under 0.05
    assert found.slope == pytest.approx(2, abs=0.15)
    assert found.intercept == pytest.approx(2, abs=0.15)
    assert (found.rows, found.events) == (20_000, int(event.sum()))


def test_a_handful_of_events_or_a_slope_turned_round_leave_the_odds_alone():
    few = np.arange(100) < MIN_EVENTS - 1
    assert fit_sigmoid(np.linspace(-2, 2, 100), few).slope == 1.0
    falling = np.arange(200) < 100
    assert fit_sigmoid(np.linspace(-2, 2, 200), falling).slope == 1.0
