"""Reads choice tables: which offer a rule makes, row by row."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import cast, get_args

from engine.features.spec import CONTACT, Scalar
from rules.condition_trees import ConditionTrees
from rules.document import ChoiceRow, ChoiceTable, Comparison, Condition, Hit, Place
from rules.findings import shown
from rules.reading import Reader
from rules.satisfiable import contradicting
from rules.source import Node
from rules.trees import leaves
from rules.vocabulary import Field, Vocabulary, typed_value

_TABLE = ("id", "hit", "columns", "rows")
_REQUIRED = ("id", "columns", "rows")
_COUNT = re.compile(r"count (\S+) in (\S.*)\Z")
_OR_MORE = re.compile(r"(\S+) or more\Z")
_AT_MOST = re.compile(r"at most (\S+)\Z")
_BETWEEN = re.compile(r"between (\S+) and (\S+)\Z")
_HINT = "any, a value, 2 or more, at most 2, or between 2 and 4"
MOST_TABLES = 20
MOST_ROWS = 48
ANY = "any"


@dataclass(frozen=True, slots=True)
class _Column:
    """What a column compares: a condition without its comparisons; `field` if it is a field."""

    condition: Condition
    field: Field | None

    @property
    def is_number(self) -> bool:
        return self.field is None or self.field.type == "number"


class ChoiceReader:
    """Reads the choice tables of one file."""

    def __init__(self, read: Reader, vocabulary: Vocabulary) -> None:
        self._read = read
        self._vocabulary = vocabulary

    def tables(self, node: Node | None) -> dict[str, ChoiceTable]:
        """The tables by id; what can't be read is noted and left out."""
        tables: dict[str, ChoiceTable] = {}
        items = self._read.items(node, "choose")
        if len(items) > MOST_TABLES:
            message = f"a file has at most {MOST_TABLES} choice tables"
            self._read.fault("E007", message, items[MOST_TABLES], "split the file")
        for item in items[:MOST_TABLES]:
            table = self._table(item)
            if table.id in tables:
                message = f"the table {shown(table.id)} is already there"
                self._read.fault("E013", message, item, "give it another name")
            tables.setdefault(table.id, table)
        return {name: table for name, table in tables.items() if name}

    def _table(self, node: Node) -> ChoiceTable:
        read = self._read
        found = read.settings(node, "a choice table", _TABLE, _REQUIRED)
        columns = [self._column(each) for each in read.items(found.get("columns"), "columns")]
        nodes = read.items(found.get("rows"), "rows")
        if "rows" in found and (not nodes or len(nodes) > MOST_ROWS):
            read.fault("E106", f"a choice table has 1 to {MOST_ROWS} rows", found["rows"])
        table = ChoiceTable(
            id=read.identifier(found.get("id"), "a choice table"),
            hit=cast("Hit", read.choice(found.get("hit"), "hit", get_args(Hit), "first")),
            columns=tuple(each.text for each in read.items(found.get("columns"), "columns")),
            rows=tuple(self._row(each, columns) for each in nodes[:MOST_ROWS]),
            place=Place(*node.place),
        )
        if table.hit == "only":
            self._refuse_overlaps(table)
        return table

    def _column(self, node: Node) -> _Column | None:
        """None after a finding."""
        text = self._read.text(node, "a column")
        match = _COUNT.match(text)
        place = Place(*node.place)
        if match:
            event = self._known(node, "event", match[1], self._vocabulary.events)
            days = self._read.days(replace(node, text=match[2]))
            known = event and days is not None
            return _Column(Condition("count", match[1], place, (), days), None) if known else None
        if not text or not self._known(node, "field", text, self._vocabulary.fields):
            return None
        field = self._vocabulary.fields[text]
        if field.type == "date":
            hint = "a computed field in days, or two rules"
            self._read.fault("E103", f"{text} is a date and can't be a column", node, hint)
            return None
        return _Column(Condition("field", text, place), field)

    def _known(self, node: Node, what: str, name: str, vocabulary: Mapping[str, object]) -> bool:
        if name not in vocabulary:
            self._read.unknown(node, what, name, vocabulary)
        return name in vocabulary

    def _row(self, node: Node, columns: Sequence[_Column | None]) -> ChoiceRow:
        cells = self._read.items(node, "a row")
        if node.kind == "list" and len(cells) != len(columns) + 1:
            message = f"this row has {len(cells)} cells, not one per column and the offer"
            self._read.fault("E145", message, node, f"{len(columns) + 1} cells")
            cells = []
        conditions = [
            self._cell(cell, column)
            for cell, column in zip(cells, columns, strict=False)
            if column is not None and cell.text != ANY
        ]
        return ChoiceRow(
            conditions=tuple(c for c in conditions if c is not None),
            cells=tuple(cell.text for cell in cells[:-1]),
            offer=self._read.identifier(cells[-1], "an offer") if cells else "",
            place=Place(*node.place),
        )

    def _cell(self, node: Node, column: _Column) -> Condition | None:
        comparisons = tuple(self._comparisons(node, column))
        if any(comparison.value is None for comparison in comparisons):
            return None
        return replace(column.condition, comparisons=comparisons, place=Place(*node.place))

    def _comparisons(self, node: Node, column: _Column) -> Iterator[Comparison]:
        if node.kind != "text":
            self._read.fault("E145", "a cell is one word or number", node, _HINT)
            yield Comparison("is", None)
        elif not column.is_number:
            word = "has" if column.field and column.field.type == "list" else "is"
            yield Comparison(word, self._constant(node, node.text, column))
        elif match := _OR_MORE.match(node.text):
            yield Comparison("at_least", self._constant(node, match[1], column))
        elif match := _AT_MOST.match(node.text):
            yield Comparison("at_most", self._constant(node, match[1], column))
        elif match := _BETWEEN.match(node.text):
            yield Comparison("at_least", self._constant(node, match[1], column))
            yield Comparison("at_most", self._constant(node, match[2], column))
        else:
            yield Comparison("is", self._constant(node, node.text, column))

    def _constant(self, node: Node, text: str, column: _Column) -> Scalar:
        own = replace(node, text=text)
        if column.field is not None:
            return typed_value(self._read, column.field, own)
        return self._read.whole(own, 0, 0, 100_000)

    def _refuse_overlaps(self, table: ChoiceTable) -> None:
        """Notes rows of an `only` table that can hold for the same contact."""
        trees = [leaves(ConditionTrees(self._vocabulary).row(row)) for row in table.rows]
        for (one, earlier), (two, later) in combinations(enumerate(trees), 2):
            if not contradicting([*earlier, *later]):
                message = f"rows {one + 1} and {two + 1} can both hold, and hit is only"
                hint = "hit: first, or make the rows exclude each other"
                self._read.findings.add("E144", message, table.rows[two].place, hint=hint)


def in_scope(row: ChoiceRow, subject: str, vocabulary: Vocabulary) -> ChoiceRow:
    """The row as a rule about `subject` reads it."""
    return replace(row, conditions=tuple(_scoped(c, subject, vocabulary) for c in row.conditions))


def _scoped(condition: Condition, subject: str, vocabulary: Vocabulary) -> Condition:
    about = (
        vocabulary.fields[condition.about].about
        if condition.kind == "field"
        else vocabulary.about(condition.about)
    )
    return replace(condition, scope=subject if about == subject else CONTACT)
