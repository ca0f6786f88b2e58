"""How well the tone of texts is told, on any file of labelled texts.

    python -m benchmarks.sentiment --data FILE --text COLUMN --label COLUMN --json

FILE is CSV, TSV (`.txt` counts as one) or Parquet; without a header the columns are 0, 1, ...
The label is 1 or 0, or one of two texts with `--positive TEXT`; other rows are left out. Ours is
the scorer as shipped: nothing of the file is learnt. Beside it, in the same run: VADER by itself,
positive from above 0.05 as its manual says; words counted into a logistic regression that learns
from four fifths of the file and is judged on the fifth; the majority.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from churn.metrics import auc, brier, ece, log_loss
from content.sentiment import model_name, probability, rate

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
SEED, FOLDS = 42, 5
_UNDECIDED = 0.5
VADER_POSITIVE_FROM = 0.05
# of the logistic regression; chosen once, the same for every file
MIN_TEXTS_WITH_WORD, RIDGE = 2, 1.0


def read_file(path: Path, text: str, label: str, positive: str | None) -> tuple[list[str], Flags]:
    """Return the texts and whether each is positive; rows with another label are left out."""
    frame = _frame(path, {text, label})
    labels = frame[label].cast(pl.String).str.strip_chars()
    yes = positive or "1"
    kept = labels.is_in([yes, "0"]) if positive is None else labels.is_not_null()
    rows = frame.filter(kept & frame[text].is_not_null())
    told = rows[label].cast(pl.String).str.strip_chars() == yes
    return rows[text].cast(pl.String).to_list(), told.to_numpy()


def _frame(path: Path, wanted: set[str]) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    tabs = path.suffix in {".tsv", ".txt"}
    # sentences hold quotation marks that open nothing
    with path.open(encoding="utf-8", newline="") as file:
        reader = (
            csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(file)
        )
        rows = [row for row in reader if row]
    names = rows[0]
    if not wanted <= set(names):
        names, rows = [str(n) for n in range(len(rows[0]))], [[], *rows]
    missing = wanted - set(names)
    if missing:
        raise SystemExit(f"{path}: no column {', '.join(sorted(missing))}; it has {names}.")
    whole = [row for row in rows[1:] if len(row) == len(names)]
    return pl.DataFrame(whole, schema=dict.fromkeys(names, pl.String), orient="row")


def ours(texts: Sequence[str]) -> tuple[Floats, Flags]:
    """P(positive) of each text, and which of them the scorer says nothing about.

    Who must decide anyway takes the probability of a text that says nothing, P at score 0.
    """
    tones = [rate(each) for each in texts]
    silent = probability(0.0)
    told = [silent if tone is None else tone.positive_probability for tone in tones]
    return np.array(told), np.array([tone is None for tone in tones])


def vader(texts: Sequence[str]) -> tuple[Floats, Flags]:
    """VADER's own decision; (compound + 1) / 2 stands for a probability, which it has not."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer  # noqa: PLC0415

    analyzer = SentimentIntensityAnalyzer()
    found = np.array([analyzer.polarity_scores(each)["compound"] for each in texts])
    return (found + 1) / 2, found == 0


def counted_words(texts: Sequence[str], truth: Flags) -> Floats:
    """P(positive) of each text by a logistic regression on its words, learnt from other folds."""
    words = [set(re.findall(r"\w+", each.lower())) for each in texts]
    fold = np.random.default_rng(SEED).permutation(len(texts)) % FOLDS
    told = np.zeros(len(texts))
    for number in range(FOLDS):
        learn, judge = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        seen: dict[str, int] = {}
        for row in learn:
            for word in words[row]:
                seen[word] = seen.get(word, 0) + 1
        place = {
            word: n
            for n, word in enumerate(
                sorted(word for word, times in seen.items() if times >= MIN_TEXTS_WITH_WORD)
            )
        }
        told[judge] = _logistic(_presence(words, learn, place), truth[learn]).predict_proba(
            _presence(words, judge, place)
        )[:, 1]
    return told


def _logistic(matrix: Floats, truth: Flags) -> Any:  # noqa: ANN401 - scikit-learn has no types
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(C=RIDGE, max_iter=500).fit(matrix, truth)


def _presence(words: Sequence[set[str]], rows: NDArray[np.int64], place: dict[str, int]) -> Floats:
    matrix = np.zeros((len(rows), len(place)))
    for at, row in enumerate(rows):
        for word in words[row]:
            if word in place:
                matrix[at, place[word]] = 1.0
    return matrix


def judged(truth: Flags, told: Floats, silent: Flags, cut: float = 0.5) -> dict[str, Any]:
    """The figures of one scorer; accuracy counts every text, `accuracy_decided` those it judged."""
    positive = told > cut
    hits = positive == truth
    found, called = int((positive & truth).sum()), int(positive.sum())
    return {
        "n": len(truth),
        "auc": auc(truth, told),
        "log_loss": log_loss(truth, told),
        "brier": brier(truth, told),
        "ece": ece(truth, told),
        "accuracy": float(hits.mean()),
        "accuracy_decided": float(hits[~silent].mean()) if (~silent).any() else None,
        "majority_accuracy": float(max(truth.mean(), 1 - truth.mean())),
        "recall": found / int(truth.sum()) if truth.any() else None,
        "precision": found / called if called else None,
        "abstention": float(silent.mean()),
    }


def measure(texts: Sequence[str], truth: Flags) -> dict[str, dict[str, Any]]:
    """Figures by scorer, ours first."""
    told, silent = ours(texts)
    compound, none = vader(texts)
    never = np.zeros(len(truth), dtype=np.bool_)
    base = np.full(len(truth), truth.mean())
    return {
        "keepwell": judged(truth, told, silent),
        "vader": judged(truth, compound, none, cut=(1 + VADER_POSITIVE_FROM) / 2),
        "words_5_fold": judged(truth, counted_words(texts, truth), never),
        "majority": judged(truth, base, never),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; exit code 1 if ours is less accurate than VADER by itself."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sentiment")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--text", default="0", help="column of the text [0]")
    parser.add_argument("--label", default="1", help="column of the label [1]")
    parser.add_argument("--positive", help="the label that means positive [1]")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args(arguments)
    texts, truth = read_file(asked.data, asked.text, asked.label, asked.positive)
    if not texts or truth.all() or not truth.any():
        print(f"{asked.data}: needs texts of both labels, found {len(texts)}.", file=sys.stderr)
        return 2
    found = measure(texts, truth)
    if asked.json:
        print(json.dumps({"file": asked.data.name, "scorer": model_name(), "results": found}))
    else:
        for name, figures in found.items():
            shown = " ".join(
                f"{key} {value:.3f}" for key, value in figures.items() if isinstance(value, float)
            )
            print(f"{name:<13} {shown}")
    return int(found["keepwell"]["accuracy"] < found["vader"]["accuracy"])


if __name__ == "__main__":
    raise SystemExit(main())
