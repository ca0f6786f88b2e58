from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.early_warning import Window, main, origins_of
from churn.bg_nbd import PENALTIES, Summary, fit_bg_nbd
from churn.churn_date import churn_date
from churn.episodes import Scored, episode_scores, threshold_for_recall
from churn.gamma_gamma import fit_gamma_gamma
from churn.hazards import Hazards
from churn.lifetime_value import value_model
from churn.log_features import LogHistory, view
from churn.log_labels import declared_churn, own_limits, silent_window
from churn.log_models import Labelled, Standing, early_warning, log_hazard
from churn.transaction_log import log_of
from engine.errors import InvalidInput, TooFewData

DAY_ONE = datetime(2024, 1, 1, tzinfo=UTC)


def visits_frame(customers: int = 200, days: int = 420, seed: int = 3) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        day, stays = rng.uniform(0, 120), rng.exponential(250)
        gap = rng.gamma(4, 8) + 3
        end = day + stays
        while day < min(end, days):
            rows.append((f"c{number}", DAY_ONE + timedelta(days=float(day)), rng.gamma(2, 20)))
            day += rng.gamma(3, gap / 3)
    return pl.DataFrame(rows, schema=["who", "at", "paid"], orient="row")


def log(frame: pl.DataFrame) -> LogHistory:
    return LogHistory(log_of(frame, customer="who", time="at", amount="paid"))


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    return visits_frame()


def test_what_happens_after_the_origin_changes_no_feature(frame: pl.DataFrame):
    origin = 250
    history = log(frame)
    moment = DAY_ONE.date() + timedelta(days=int((frame["at"].min() - DAY_ONE).days) + origin)
    later = pl.col("at").dt.date() > moment
    shuffled = pl.concat(
        [
            frame.filter(~later),
            frame.filter(later).with_columns(pl.col("who", "paid").shuffle(seed=1)),
        ]
    )
    assert shuffled.height == frame.height
    known, other = (
        view(each, origin, within_days=90, window=(30, 90)) for each in (history, log(shuffled))
    )
    assert known.customers.size > 40
    names = [
        [each.log.customers[place] for place in seen.customers]
        for each, seen in ((history, known), (log(shuffled), other))
    ]
    assert names[0] == names[1]
    np.testing.assert_array_equal(known.features, other.features)


def test_features_by_hand():
    at = [DAY_ONE + timedelta(days=d) for d in (0, 10, 10, 40, 41, 60)]
    frame = pl.DataFrame(
        {"who": ["a"] * 5 + ["b"], "at": at, "paid": [5.0, 7.0, 3.0, 20.0, -20.0, 1.0]}
    )
    history = log(frame)
    seen = view(history, 50, within_days=90, window=(30, 60))
    told = dict(zip(seen.names, seen.features[0], strict=True))
    assert seen.customers.tolist() == [0]
    assert (told["visits"], told["recency"], told["tenure"]) == (3, 10, 50)
    assert (told["spend_30"], told["spend_90"], told["spend_per_visit"]) == (20, 35, 35 / 3)
    assert (told["gap_mean"], told["gap_median"], told["gap_longest"]) == (20, 20, 30)
    assert told["returns_90"] == 1
    assert history.net_spend(seen.customers, -1, 50)[0] == 15


def test_the_churn_date_is_the_end_of_the_first_silence_as_long_as_the_limit():
    days = {"stays": (0, 20, 40, 60, 80, 100), "leaves": (0, 20, 40), "returns_late": (0, 20, 90)}
    frame = pl.DataFrame(
        [(who, DAY_ONE + timedelta(days=d), 1.0) for who, each in days.items() for d in each],
        schema=["who", "at", "paid"],
        orient="row",
    )
    history = log(frame)
    seen = view(history, 40, within_days=90, window=(30, 60))
    limits = own_limits(seen, factor=2.5, shortest=50, longest=180)
    found = declared_churn(history, seen, limits, until=100)
    told = dict(
        zip([history.log.customers[p] for p in seen.customers], found.churn_days, strict=True)
    )
    assert np.isnan(told["stays"])
    assert told["leaves"] == 50
    assert told["returns_late"] == 30
    assert found.followed_days == 60
    early = declared_churn(history, seen, limits, until=60)
    assert np.isnan(early.churn_days).all()  # censored before any limit ends


def test_the_visit_model_finds_the_rates_that_made_the_log():
    rng = np.random.default_rng(7)
    n, r, alpha, a, b = 4000, 0.8, 20.0, 0.8, 2.5
    rate, leaving = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    age = rng.uniform(100, 400, n)
    repeats, last, future = np.zeros(n), np.zeros(n), np.zeros(n)
    for who in range(n):
        now, alive = 0.0, True
        while alive:
            now += rng.exponential(1 / rate[who])
            if now > age[who] + 120:
                break
            if now <= age[who]:
                repeats[who], last[who] = repeats[who] + 1, now
            else:
                future[who] += 1
            alive = rng.random() > leaving[who]
    seen = Summary(repeats, last, age)
    fitted = fit_bg_nbd(seen)
    assert fitted.penalty == PENALTIES[0]
    # 4,000 customers: totals within 3 standard errors
    spread = 3 * future.std() * np.sqrt(n)
    assert fitted.visits(seen, days=120).sum() == pytest.approx(future.sum(), abs=spread)
    silent = fitted.silent(seen, after_days=0, for_days=120)
    assert silent.sum() == pytest.approx((future == 0).sum(), abs=3 * np.sqrt(n) / 2)
    assert (fitted.silent(seen, after_days=30, for_days=120) >= silent - 1e-9).all()


def test_spend_is_drawn_to_the_mean_of_all_by_few_visits():
    rng = np.random.default_rng(2)
    visits = rng.integers(1, 30, 800).astype(float)
    mean = rng.gamma(4, 10, 800)
    fitted = fit_gamma_gamma(visits, mean)
    told = fitted.spend(np.array([1.0, 100.0, 0.0]), np.array([400.0, 400.0, np.nan]))
    assert told[2] < told[0] < told[1] < 400.5
    with pytest.raises(TooFewData, match="positive mean"):
        fit_gamma_gamma(visits, np.full(800, -1.0))


def test_a_value_has_an_interval_around_it_and_repeats_by_the_seed():
    rng = np.random.default_rng(4)
    repeats = rng.poisson(4, 300).astype(float)
    age = rng.uniform(200, 400, 300)
    last = np.where(repeats > 0, age * rng.uniform(0.3, 1, 300), 0.0)
    mean = rng.gamma(3, 20, 300)
    seen = Summary(repeats, last, age)
    model = value_model(seen, mean)
    told, again = (model.value(seen, mean, days=180, seed=5) for _ in range(2))
    assert (told.low <= told.high).all()
    assert (told.low <= told.expected + 1e-9).mean() > 0.9
    np.testing.assert_array_equal(told.high, again.high)
    with pytest.raises(TooFewData, match="came again"):
        value_model(Summary(np.zeros(50), np.zeros(50), np.full(50, 100.0)), np.full(50, 10.0))


def test_the_early_warning_ranks_unseen_customers(frame: pl.DataFrame):
    history = log(frame)

    def at(origin: int) -> Labelled:
        seen = view(history, origin, within_days=90, window=(30, 90))
        gone = silent_window(history, seen, after_days=30, for_days=60)
        return Labelled(seen, gone, origin + 90)

    past = [at(day) for day in (100, 130, 160, 190, 220, 238)]
    now = at(328)
    told = [early_warning(past, seed=1).probability(now.seen) for _ in range(2)]
    np.testing.assert_array_equal(*told)
    hit, other = told[0][now.gone], told[0][~now.gone]
    # over 60 customers: standard error of the AUC about 0.07
    assert (hit[:, None] > other[None, :]).mean() > 0.6


def test_declared_churn_never_falls_and_its_date_is_the_limit_where_that_is_likely(
    frame: pl.DataFrame,
):
    history = log(frame)

    def at(origin: int, until: int) -> Standing:
        seen = view(history, origin, within_days=180, window=(0, 90))
        limits = own_limits(seen, factor=2.5, shortest=60, longest=180)
        kept = limits > seen.recency_days
        found = declared_churn(history, seen.where(kept), limits[kept], until=until)
        return Standing(seen.where(kept), limits[kept], found)

    now = at(290, history.log.days - 1)
    model = log_hazard([at(day, 290) for day in range(100, 271, 30)], seed=0)
    hazards = model.predict(now.seen, now.limit_days)
    told = np.stack([hazards.within(days) for days in (30, 60, 90, 120)])
    assert (np.diff(told, axis=0) >= 0).all()
    dated = churn_date(hazards, now.days_to_limit)
    likely = hazards.hazard_120d >= 0.5
    assert likely.any()
    np.testing.assert_array_equal(np.isnan(dated.expected_days), ~likely)
    assert (dated.earliest_days[likely] <= dated.expected_days[likely]).all()
    assert (dated.expected_days[likely] <= dated.latest_days[likely]).all()
    assert np.isin(dated.expected_days[likely], now.days_to_limit[likely]).mean() > 0.5


def test_the_date_lies_inside_the_period_where_the_limit_does_not():
    within = np.array([[0.0, 0.0], [0.1, 0.6], [0.6, 0.6], [0.8, 0.6]])
    dated = churn_date(Hazards.from_cumulative(within, np.array([45.0, 45.0])), np.array([45, 45]))
    # half of 0.8 is passed at (0.4 - 0.1) / 0.5 of the third period; all of 0.6 came by the limit
    np.testing.assert_allclose(dated.expected_days, [78.0, 45.0])


def test_alerts_are_counted_once_in_a_cool_down_and_judged_by_their_lead():
    scored = Scored(
        customer=np.array([1, 2, 3, 1, 2, 3]),
        day=np.array([0, 0, 0, 60, 60, 60]),
        score=np.array([0.9, 0.2, 0.8, 0.9, 0.7, 0.1]),
        churn_in_days=np.array([80.0, 100.0, np.nan, 20.0, 40.0, np.nan]),
    )
    found = episode_scores(scored, 0.5)
    assert (found.episodes, found.alerts) == (1, 3)  # customer 2 leaves on day 100, after day 90
    assert found.recall == 1.0
    assert found.precision == pytest.approx(2 / 3)
    assert found.median_lead_days == 80
    assert threshold_for_recall(scored, 1.0) > 0.5


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"paid": pl.lit(0.0)}, "no visit"),
        ({"paid": pl.lit(float("inf"))}, "no visit"),
        ({"at": pl.lit("yesterday")}, "can't be read"),
    ],
)
def test_a_log_that_tells_nothing_is_refused(
    frame: pl.DataFrame, changed: dict[str, pl.Expr], said: str
):
    with pytest.raises(InvalidInput, match=said):
        log(frame.with_columns(**changed))


def test_negative_and_infinite_amounts_are_no_visits(frame: pl.DataFrame):
    odd = pl.DataFrame(
        {"who": ["x", "y", None], "at": [DAY_ONE] * 3, "paid": [-5.0, float("inf"), 9.0]}
    )
    history = log(pl.concat([frame, odd]))
    assert not {"x", "y"} & set(history.log.customers)
    assert history.log.rows_left_out == 2


def test_a_log_too_short_to_test_says_what_it_takes(frame: pl.DataFrame, tmp_path: Path):
    short = log(frame.filter(pl.col("at") < DAY_ONE + timedelta(days=150)))
    with pytest.raises(InvalidInput, match="too short") as refused:
        origins_of(short, Window(30, 60))
    assert "shorter horizon" in refused.value.hint
    path = tmp_path / "log.csv"
    frame.filter(pl.col("at") < DAY_ONE + timedelta(days=150)).write_csv(path)
    asked = ["--data", str(path), "--customer", "who", "--time", "at", "--amount", "paid"]
    assert main([*asked, "--json"]) == 2


def test_the_latest_test_day_is_as_late_as_the_log_allows(frame: pl.DataFrame):
    history = log(frame)
    tests, step = origins_of(history, Window(30, 60))
    assert tests[0] + 90 == history.log.days - 1
    assert step == 30
