"""How texts sound, what is not rated, and that the shipped scorer is as good as its reference."""

from pathlib import Path

import pytest

from benchmarks.sentiment import main, measure, read_file
from content.sentiment import model_name, rate


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("Thank you so much, the hygienist was wonderful!", 1),
        ("I am very disappointed. Nobody called back and the bill is wrong.", -1),
        ("The repair was not good at all.", -1),
    ],
)
def test_praise_and_complaint_are_told_apart(text: str, sign: int) -> None:
    tone = rate(text)
    assert tone is not None
    assert tone.score * sign > 0.2
    assert (tone.positive_probability > 0.5) is (sign > 0)


@pytest.mark.parametrize(
    "text",
    ["", "   ", "Tuesday at nine.", "See invoice 4711", "El servicio no fue bueno, es terrible",
     "Merci, le service est super et sans problème", "🦷", "a" * 100_000],
)  # fmt: skip
def test_of_what_says_nothing_or_is_not_english_nothing_is_said(text: str) -> None:
    assert rate(text) is None


def test_a_rating_names_everything_it_depends_on() -> None:
    assert model_name() == "vader-3.3.2/4.5/-0.5"


@pytest.mark.parametrize(
    ("name", "least"), [("yelp", 0.816), ("amazon_cells", 0.844), ("imdb", 0.791)]
)
def test_the_shipped_scorer_is_no_worse_than_its_reference_on_reviews(
    real_data: Path, name: str, least: float
) -> None:
    file = real_data / "sentiment_labelled_sentences" / f"{name}_labelled.txt"
    texts, truth = read_file(file, "0", "1", None)
    found = measure(texts, truth)
    assert found["keepwell"]["accuracy"] >= max(least, found["vader"]["accuracy"])
    assert found["keepwell"]["ece"] < found["vader"]["ece"]
    assert 0.1 < found["keepwell"]["abstention"] < 0.3


def test_a_file_with_one_label_alone_is_refused(tmp_path: Path, capsys) -> None:
    file = tmp_path / "comments.csv"
    file.write_text("comment,stars\nGreat,1\nFine,1\n", encoding="utf-8")
    assert main(["--data", str(file), "--text", "comment", "--label", "stars"]) == 2
    assert "both labels" in capsys.readouterr().err
