"""Rules over a million rows against plain comparisons of the same columns."""

import numpy as np
import polars as pl

from benchmarks.figures import Figure, Measured, median_seconds
from benchmarks.practice import SEED, World
from rules.compiled import CompiledRules, compile_rules
from rules.expression import leaves
from services.rule_texts import pack_texts, parse_rules

ROWS = 1_000_000
PACK = "healthcare/retention"
SINGLES = 2_000
UNKNOWN = 0.2  # of every column


def measure(_world: World) -> Measured:
    """Match the shipped pack over a million synthetic rows, and over one contact."""
    texts = pack_texts(PACK)
    rules = compile_rules(parse_rules(texts.document, texts.vocabulary, texts.name))
    frame = _frame(rules)
    columns = frame.columns
    single = frame.head(SINGLES)
    rows = [{k: v for k, v in row.items() if v is not None} for row in single.to_dicts()]
    frames = [single.slice(number, 1) for number in range(SINGLES // 10)]
    seconds = median_seconds(
        {
            "ours": lambda: rules.match_frame(frame),
            "polars": lambda: frame.select(pl.col(name) >= 30.0 for name in columns),
        }
    )
    once = median_seconds(
        {
            "durable": lambda: [rules.match_one(row) for row in rows],
            "frame": lambda: [rules.match_frame(each) for each in frames],
        },
        rounds=3,
    )
    return Measured(
        (
            Figure(
                area="rules",
                name=f"{len(rules.rules)} rules over {ROWS:,} rows",
                value=ROWS / seconds["ours"],
                unit="rows/s",
                reference=ROWS / seconds["polars"],
                against=f"polars comparing the same {len(columns)} columns with a constant",
            ),
            Figure(
                area="rules",
                name=f"{len(rules.rules)} rules for one contact, durable_rules",
                value=once["durable"] / len(rows) * 1e6,
                unit="µs",
                reference=once["frame"] / len(frames) * 1e6,
                against="the same rules over a frame of one row",
            ),
        ),
        (f"rules: pack {PACK}; synthetic numbers, {UNKNOWN:.0%} of each column unknown.",),
    )


def _frame(rules: CompiledRules) -> pl.DataFrame:
    """Numbers around the constants that the rules compare with; the pack reads only numbers."""
    rng = np.random.default_rng(SEED)
    names = dict.fromkeys(leaf.feature for e in rules.expressions for leaf in leaves(e.everything))
    return pl.DataFrame(
        {
            name: pl.Series(
                np.where(rng.random(ROWS) < UNKNOWN, np.nan, rng.exponential(60.0, ROWS)),
                nan_to_null=True,
            )
            for name in names
        }
    )
