"""What a figure says, and when the run counts as failed."""

import json
from dataclasses import replace

import pytest

from benchmarks.__main__ import AREAS, main
from benchmarks.figures import Figure, Measured, median_seconds, percentile
from benchmarks.practice import World

FASTER = Figure("rules", "rows", 200.0, "rows/s", 100.0, "something", bar=1.5)


def test_a_ratio_above_one_is_better_for_speeds_and_for_durations() -> None:
    assert FASTER.ratio == 2.0
    assert replace(FASTER, unit="ms").ratio == 0.5


@pytest.mark.parametrize(("bar", "ok"), [(None, True), (1.5, True), (2.0, True), (2.1, False)])
def test_a_figure_is_fine_at_its_bar_and_without_one(bar: float | None, ok: bool) -> None:
    assert replace(FASTER, bar=bar).ok is ok


@pytest.mark.parametrize(
    ("better", "reach", "ok"),
    [
        ("higher", 200.0, True),
        ("higher", 201.0, False),
        ("lower", 200.0, True),
        ("lower", 199.0, False),
    ],
)
def test_a_value_to_reach_is_compared_in_its_own_direction(
    better: str, reach: float, ok: bool
) -> None:
    figure = replace(FASTER, unit="AUC", bar=None, better=better, reach=reach)
    assert figure.ok is ok
    assert figure.ratio == (2.0 if better == "higher" else 0.5)


def test_contenders_run_by_turns_and_the_warm_up_does_not_count() -> None:
    order: list[str] = []
    seconds = median_seconds(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, warm_up=1
    )
    assert "".join(order) == "ababab"
    assert seconds.keys() == {"a", "b"}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    ordered = [float(n) for n in range(1, 101)]
    assert (percentile(ordered, 0.5), percentile(ordered, 0.99)) == (51.0, 100.0)
    assert percentile([7.0], 0.99) == 7.0


def _area(figure: Figure) -> dict:
    return {"rules": lambda _world: Measured((figure,), ("rules: as it was.",)), "journey": None}


def test_a_missed_bar_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], _area(FASTER)) == 0
    assert "MISSED" not in capsys.readouterr().out
    assert main([], _area(replace(FASTER, bar=3.0))) == 1
    assert "MISSED" in capsys.readouterr().out


def test_json_is_a_list_of_figures_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--json"], _area(FASTER))
    told = capsys.readouterr()
    assert json.loads(told.out) == [
        {
            "area": "rules", "name": "rows", "value": 200.0, "unit": "rows/s", "reference": 100.0,
            "against": "something", "ratio": 2.0, "bar": 1.5, "reach": None,
            "ok": True,
        }
    ]  # fmt: skip
    assert "rules: as it was." in told.err


def test_an_area_without_figures_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "journey"], _area(FASTER)) == 0
    assert "journey: nothing is measured yet." in capsys.readouterr().out


def test_an_area_that_does_not_exist_is_refused() -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--only", "speed"])
    assert refused.value.code == 2


def test_every_area_of_the_product_has_its_place() -> None:
    named = {"api", "decide", "rules", "churn", "learn", "content", "send", "journey", "import"}
    named |= {"trials", "night", "quality"}
    assert set(AREAS) == named


def test_a_world_that_nobody_used_starts_no_server() -> None:
    with World() as world:
        assert "runtime" not in vars(world)


def test_what_never_settled_is_valid_json() -> None:
    never = Figure("journey", "event to decision", float("inf"), "ms", 1000.0, "the limit", bar=1.0)
    told = json.loads(json.dumps(never.as_dict(), allow_nan=False))
    assert (told["value"], told["ratio"], told["ok"]) == (None, 0.0, False)
