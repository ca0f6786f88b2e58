"""Every comparison of every shipped rule, at its boundary and one step to each side."""

import math
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import rules
from engine.features.spec import Scalar
from rules.compiled import CompiledRules, compile_rules
from rules.expression import Leaf, leaves
from rules.loader import read_rules
from rules.reference import holds

PACKS = Path(rules.__file__).parent / "packs"
FILES = sorted(path for path in PACKS.rglob("*.yaml") if not path.name.endswith(".vocab.yaml"))
DTYPES = {"number": pl.Float64, "text": pl.String, "flag": pl.Boolean}


def around(leaf: Leaf) -> list[Scalar]:
    """The constant, one step on each side, and nothing."""
    constants = leaf.value if isinstance(leaf.value, tuple) else (leaf.value,)
    found: list[Scalar] = [None]
    for constant in constants:
        if leaf.type == "flag":
            found += [True, False]
        elif isinstance(constant, str):
            found += [constant, constant + "x", constant[:-1], ""]
        elif isinstance(constant, int | float):
            exact = float(constant)
            found += [exact, exact - 1, exact + 1]
            found += [math.nextafter(exact, math.inf), math.nextafter(exact, -math.inf)]
    if leaf.value is None:
        found += {"number": [0.0, math.nan], "text": ["", "x"], "flag": [True, False]}[leaf.type]
    return found


def holding(leaf: Leaf) -> Scalar:
    """A value for which the leaf holds."""
    return next(
        (v for v in around(leaf) if leaf_holds(leaf, v)), 0.0 if leaf.type == "number" else "x"
    )


def leaf_holds(leaf: Leaf, value: Scalar) -> bool:
    return holds(leaf, {leaf.feature: value})


def rows(compiled: CompiledRules, kind: str) -> Iterator[dict[str, Scalar]]:
    """For each rule a row that suits it, with one feature after the other moved."""
    for expression in compiled.expressions:
        if expression.kind != kind:
            continue
        suited: dict[str, Scalar] = {}
        for part in expression.when:
            for leaf in leaves(part.tree):
                if not leaf_holds(leaf, suited.get(leaf.feature)):
                    suited[leaf.feature] = holding(leaf)
        yield suited
        for leaf in leaves(expression.everything):
            for value in around(leaf):
                yield suited | {leaf.feature: value}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_matchers_agree_at_every_boundary_of_a_shipped_rule(path) -> None:
    compiled = compile_rules(read_rules(path), every_status=True)
    types = {leaf.feature: leaf.type for e in compiled.expressions for leaf in leaves(e.everything)}
    for kind in ("contact", *compiled.kinds):
        asked = list(rows(compiled, kind))
        frame = pl.DataFrame(
            {
                name: pl.Series([row.get(name) for row in asked], dtype=DTYPES[type_])
                for name, type_ in types.items()
            }
        )
        batch = compiled.match_frame(frame, kind=kind)
        fired: set[str] = set()
        for position, row in enumerate(asked):
            judge = compiled.reference(row, kind)
            assert compiled.match_one(row, kind=kind) == judge, row
            found = zip(compiled.rule_ids, batch[position], strict=True)
            assert {name for name, hit in found if hit} == judge, row
            fired |= judge
        expected = {rule.id for rule in compiled.rules if rule.subject == kind}
        assert fired == expected  # or the rows around it would say nothing of its boundaries
