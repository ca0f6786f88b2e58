from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.churn_table import main
from churn.blend import loss_of, mixture
from churn.logistic import NormalScores, fit
from churn.metrics import precision_at_recall, recall_at_precision, spearman, top_decile_lift
from churn.table_model import fit_table
from churn.tabular import Table, TableCode, read_frame, table_of
from engine.errors import InvalidInput


def customers(rows: int = 400, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    months = rng.integers(0, 60, rows)
    plan = rng.choice(["monthly", "yearly"], rows)
    chance = 1 / (1 + np.exp(0.08 * months - 1.5 * (plan == "monthly")))
    return pl.DataFrame(
        {
            "customerID": [f"K-{n:05}" for n in range(rows)],
            "months": months,
            "plan": plan,
            "paid": [f"{value:.2f}" if n % 40 else " " for n, value in enumerate(months * 20.5)],
            "country": "DE",
            "gone": np.where(rng.random(rows) < chance, "Yes", "No"),
        }
    )


def test_columns_are_sorted_into_numbers_categories_and_what_tells_nothing():
    table = table_of(customers(), "gone", "yes")
    assert list(table.numbers) == ["months", "paid"]
    assert np.isnan(table.numbers["paid"]).sum() == 10
    assert list(table.categories) == ["plan"]
    assert set(table.left_out) == {"customerID", "country"}


def test_the_same_rows_and_seed_give_the_same_probabilities_and_they_rank():
    table = table_of(customers(), "gone", "Yes")
    train, test = np.arange(300), np.arange(300, 400)
    told = [fit_table(table, train, seed=3).probability(table, test) for _ in range(2)]
    np.testing.assert_array_equal(*told)
    # true chances spread over 0.03 to 0.8: an AUC near 0.8, standard error 0.05 with 100 rows
    assert told[0][table.event[test]].mean() > told[0][~table.event[test]].mean() + 0.1


def test_what_the_rows_to_be_judged_say_changes_nothing_for_them():
    table = table_of(customers(), "gone", "Yes")
    train, test = np.arange(300), np.arange(300, 400)
    turned = table.event.copy()
    turned[test] = ~turned[test]
    other = Table(**{n: getattr(table, n) for n in Table.__slots__} | {"event": turned})
    told = [fit_table(each, train, seed=3).probability(each, test) for each in (table, other)]
    np.testing.assert_array_equal(*told)


def test_ten_thousand_categories_of_pure_chance_give_nobody_away():
    rng = np.random.default_rng(5)
    rows = 4000
    frame = pl.DataFrame(
        {
            "street": [f"s{n}" for n in rng.integers(0, 10_000, rows)],
            "months": rng.integers(0, 60, rows),
            "gone": (rng.random(rows) < 0.3).astype(int),
        }
    )
    table = table_of(frame, "gone", "1")
    assert table.categories["street"].max() > 2000
    train, test = np.arange(3000), np.arange(3000, rows)
    coded = TableCode.learn(table, train).training(table, train, seed=1)
    rate = coded.trees[:, -1]
    # coded without its own fold, a street says nothing of its outcome: |r| under 4/sqrt(3000)
    assert abs(np.corrcoef(rate, table.event[train])[0, 1]) < 0.073
    told = fit_table(table, train, seed=1).probability(table, test)
    assert told.min() > 0.15
    assert told.max() < 0.5


def test_a_copied_row_counts_once_and_two_like_customers_twice():
    frame = customers(100)
    assert table_of(pl.concat([frame, frame.head(7)]), "gone", "Yes").duplicates == 7
    plain = pl.DataFrame({"plan": ["a", "b"] * 50, "gone": ["Yes", "No", "No", "Yes"] * 25})
    assert table_of(plain, "gone", "Yes").duplicates == 0


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (customers().with_columns(gone=pl.lit("No")), "No row of the table has 'Yes'"),
        (customers().with_columns(gone=pl.lit("Yes")), "two of each class"),
        (customers(12), "it takes 20"),
        (customers().drop("gone"), "no column 'gone'"),
        (customers().select("customerID", "country", "gone"), "no column to learn from"),
    ],
)
def test_a_table_that_can_not_be_learnt_from_is_refused_with_the_reason(
    frame: pl.DataFrame, said: str
):
    with pytest.raises(InvalidInput, match=said):
        table_of(frame, "gone", "Yes")


def test_blank_and_infinite_numbers_are_not_known():
    frame = customers().with_columns(
        score=pl.when(pl.col("months") > 30).then(float("inf")).otherwise(1.5 * pl.col("months")),
        nothing=pl.lit(None, dtype=pl.Float64),
    )
    table = table_of(frame, "gone", "Yes")
    assert np.isnan(table.numbers["score"]).sum() == (frame["months"] > 30).sum()
    assert table.left_out["nothing"] == "blank"
    assert np.isfinite(
        fit_table(table, np.arange(400), seed=0).probability(table, np.arange(9))
    ).all()


def test_a_semicolon_file_with_quotes_is_read(tmp_path: Path):
    path = tmp_path / "bank.csv"
    path.write_text('"age";"job";"y"\n30;"a, b";"no"\n41;"c";"yes"\n')
    assert read_frame(path).rows() == [("30", "a, b", "no"), ("41", "c", "yes")]
    with pytest.raises(InvalidInput, match="There is no file"):
        read_frame(tmp_path / "absent.csv")


def test_the_command_says_what_is_wrong_with_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "table.csv"
    customers(60).with_columns(gone=pl.lit("No")).write_csv(path)
    asked = ["--data", str(path), "--target", "gone", "--positive", "Yes", "--json"]
    assert main(asked) == 2
    assert "No row of the table has 'Yes'" in capsys.readouterr().out


def test_a_mixture_finds_the_member_that_is_right_and_is_no_worse_than_it():
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 1.5, 5000)
    event = rng.random(5000) < 1 / (1 + np.exp(-truth))
    noise = {"one": truth + rng.normal(0, 1, 5000), "other": truth + rng.normal(0, 1, 5000)}
    found = mixture({**noise, "coin": np.zeros(5000)}, event)
    assert sum(found.values()) == pytest.approx(1)
    mixed = sum(weight * noise.get(name, 0.0) for name, weight in found.items())
    assert loss_of(mixed, event) < min(loss_of(each, event) for each in noise.values())


def test_the_logistic_finds_the_weights_that_made_the_outcomes():
    rng = np.random.default_rng(4)
    design = rng.normal(0, 1, (40_000, 3))
    event = rng.random(40_000) < 1 / (1 + np.exp(-(design @ [1.0, -0.5, 0.0] - 0.7)))
    fitted = fit(design, event, penalty=1.0)
    # standard error of a weight here is about 1/sqrt(40,000 x 0.19) = 0.011
    np.testing.assert_allclose(fitted.weights, [1.0, -0.5, 0.0], atol=0.05)
    assert fitted.intercept == pytest.approx(-0.7, abs=0.05)


def test_normal_scores_keep_the_order_and_hold_what_is_far_out():
    column = np.array([[1.0], [2.0], [2.0], [50.0], [np.nan], [4.0]])
    normal = NormalScores.of(column)
    made = normal.design(np.array([[-1e9], [1.5], [3.0], [1e12], [np.nan]]))
    assert (np.diff(made[:4, 0]) > 0).all()
    assert np.abs(made).max() <= 3
    assert made[4].tolist() == [0.0, 1.0]


def test_measures_at_a_threshold_by_hand():
    event = [1, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    score = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]
    assert precision_at_recall(event, score, 0.6) == pytest.approx(2 / 3)
    assert precision_at_recall(event, score, 0.85) == pytest.approx(0.3)
    assert recall_at_precision(event, score, 0.6) == pytest.approx(2 / 3)
    assert top_decile_lift(event, score) == pytest.approx(1 / 0.3)
    assert top_decile_lift(event, [0.5] * 10) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [10, 20, 20, 40]) == pytest.approx(0.9487, abs=1e-4)
