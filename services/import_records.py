"""Reads the `records` of a mapping file: kinds, ids, fields, made-up addresses, consents."""

import re
from collections.abc import Iterable

from engine.actions import CHANNELS, PURPOSES
from rules.reading import Reader
from rules.source import Node
from services.import_kinds import (
    KINDS,
    STATUSES,
    VALUE_TYPES,
    Case,
    ColumnUse,
    ConsentTerm,
    FieldType,
    Record,
    Shape,
    Value,
)

NOT_RESERVED, ONE_SOURCE, DOES_NOT_FIT = "E134", "E135", "E136"

# not columns of the file: the row's number, the file's name, two digits made from the id
SPECIAL = ("$row", "$file", "$two_digits")

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
# RFC 2606: nobody owns these; 555-0100 to 555-0199 are set aside for fiction (ATIS-0300115)
_RESERVED_EMAIL = re.compile(r"(\{[^{}@]+\}|[^@\s{}])+@[^@\s{}]+\.(example|invalid)\Z")
_FICTIONAL_PHONE = re.compile(r"(\+1[ -]?)?\(?\d{3}\)?[ -]?555[ -]?01(\d\d|\{\$two_digits\})\Z")
_SYNTHETIC = ("email", "phone", "mobile_phone")
_VALUE = (
    "column", "constant", "template", "cases", "type", "values", "times", "absolute",
    "min", "max", "required",
)  # fmt: skip
_CASE = ("column", "starts_with", "equals", "below", "then")
_CONSENT = ("channel", "purpose", "basis", "granted_at")


class RecordReader:
    """Notes every column it meets in `uses`, to be compared with the file's columns later."""

    def __init__(self, reader: Reader, uses: list[ColumnUse]) -> None:
        self._read = reader
        self._uses = uses

    def records(self, node: Node | None) -> tuple[Record, ...]:
        found = self._read.each(node, "records", self._record)
        if node is not None and node.kind == "list" and not node.items:
            self._read.fault("E012", "records is empty; say what a row is", node)
        for record in found:
            self._check_creator(record, found, node)
        return found

    def _check_creator(self, record: Record, records: Iterable[Record], node: Node | None) -> None:
        twice = sum(other.kind == record.kind for other in records) > 1
        if node is not None and twice and record.kind in {"contact", "account", "deal"}:
            self._read.fault(DOES_NOT_FIT, f"a row yields at most one {record.kind}", node)

    def _record(self, node: Node) -> Record | None:
        read = self._read
        kind_node = node.get("kind") if node.kind == "map" else None
        kind = read.choice(kind_node, "kind", tuple(KINDS), "")
        shape = KINDS.get(kind, Shape(fields={}))
        allowed = ["kind", "id", "fields", shape.extra, *shape.references]
        if kind == "contact":
            allowed += ["synthetic", "consents"]
        if kind == "":
            if kind_node is None:
                read.fault("E011", 'a record needs the setting "kind"', node, "kind: contact")
            return None
        keys = read.settings(node, f"a record of kind {kind}", allowed, ("kind", "id"))
        fields = self._fields(keys.get("fields"), shape, kind, node)
        made_up = self._synthetic(keys.get("synthetic"))
        return Record(
            kind=kind,
            id=self._columns(keys.get("id")),
            references={
                name: self._columns(keys[name]) for name in shape.references if name in keys
            },
            fields={**fields, **made_up},
            extra=self._extra(keys.get(shape.extra)),
            synthetic=tuple(made_up),
            consents=read.each(keys.get("consents"), "consents", self._consent),
        )

    def _columns(self, node: Node | None) -> tuple[str, ...]:
        if node is None:
            return ()
        nodes = node.items if node.kind == "list" else [node]
        return tuple(self._column(item) for item in nodes)

    def _column(self, node: Node) -> str:
        name = self._read.text(node, "a column")
        if name and name not in SPECIAL:
            self._uses.append(ColumnUse(name, node.place))
        return name

    def _fields(self, node: Node | None, shape: Shape, kind: str, record: Node) -> dict[str, Value]:
        required = [name for name in shape.required if node is not None]
        if node is None:
            if shape.required:
                hint = ", ".join(shape.required)
                self._read.fault("E011", f"a record of kind {kind} needs fields", record, hint)
            return {}
        keys = self._read.settings(node, f"fields of {kind}", tuple(shape.fields), required)
        return {
            name: self._value(value, shape.fields[name], required=name in shape.required)
            for name, value in keys.items()
        }

    def _extra(self, node: Node | None) -> dict[str, Value]:
        if node is None:
            return {}
        if node.kind != "map":
            self._read.fault("E012", "this is a group of settings (name: column)", node)
            return {}
        return {
            self._read.name(key, "a field"): self._value(value, None, required=False)
            for key, value in node.pairs
        }

    def _value(self, node: Node, kind: FieldType | None, *, required: bool) -> Value:
        if node.kind == "text":
            return Value(type=kind or "text", column=self._column(node), required=required)
        read = self._read
        keys = read.settings(node, "a value", _VALUE)
        sources = [name for name in ("column", "constant", "template", "cases") if name in keys]
        if len(sources) != 1:
            read.fault(
                ONE_SOURCE, "a value has one source: column, constant, template or cases", node
            )
        if kind is not None and "type" in keys:
            read.fault(DOES_NOT_FIT, "this field has its own type", keys["type"], "delete it")
        chosen = read.choice(keys.get("type"), "type", VALUE_TYPES, "text")
        low, high = keys.get("min"), keys.get("max")
        cases = read.each(keys.get("cases"), "cases", self._case)
        values = self._values(keys.get("values"))
        resolved = kind if kind is not None else _value_type(chosen)
        self._check_status(resolved, keys.get("values"))
        return Value(
            type=resolved,
            column=self._column(keys["column"]) if "column" in keys else None,
            constant=read.text(keys["constant"], "a constant") if "constant" in keys else None,
            template=self._template(keys["template"]) if "template" in keys else None,
            cases=cases,
            values=values,
            times=self._column(keys["times"]) if "times" in keys else None,
            absolute=read.yes_no(keys.get("absolute"), False),
            minimum=read.number(low) if low is not None else None,
            maximum=read.number(high) if high is not None else None,
            required=read.yes_no(keys.get("required"), required),
        )

    def _values(self, node: Node | None) -> tuple[tuple[str, str], ...]:
        if node is None:
            return ()
        if node.kind != "map" or not node.pairs:
            self._read.fault("E012", 'values pairs what stands in the file: "Yes": no_show', node)
            return ()
        return tuple((key.text, value.text) for key, value in node.pairs)

    def _check_status(self, kind: FieldType, node: Node | None) -> None:
        if kind == "status" and node is not None and node.kind == "map":
            for _, value in node.pairs:
                self._read.choice(value, "status", STATUSES, "")

    def _case(self, node: Node) -> Case | None:
        keys = self._read.settings(node, "a case", _CASE, ("then",))
        below = keys.get("below")
        tests = {name: keys[name].text for name in ("starts_with", "equals") if name in keys}
        if bool(tests or below) != ("column" in keys):
            self._read.fault(ONE_SOURCE, "a case has a column with a test, or neither", node)
        return Case(
            then=self._read.text(keys.get("then"), "then"),
            column=self._column(keys["column"]) if "column" in keys else None,
            below=self._read.number(below) if below is not None else None,
            starts_with=tests.get("starts_with"),
            equals=tests.get("equals"),
        )

    def _template(self, node: Node) -> str:
        text = self._read.text(node, "a template")
        for name in _PLACEHOLDER.findall(text):
            if name not in SPECIAL:
                self._uses.append(ColumnUse(name, node.place))
        return text

    def _synthetic(self, node: Node | None) -> dict[str, Value]:
        if node is None:
            return {}
        found = {}
        for name, value in self._read.settings(node, "synthetic", _SYNTHETIC).items():
            template = self._template(value)
            form = _RESERVED_EMAIL if name == "email" else _FICTIONAL_PHONE
            if not form.match(template):
                hint = (
                    '"customer-{Id}@shop.example"'
                    if name == "email"
                    else '"+1 202 555 01{$two_digits}"'
                )
                self._read.fault(
                    NOT_RESERVED,
                    "a made-up address has to be one that nobody can own",
                    value,
                    hint,
                )
            kind = KINDS["contact"].fields[name]
            found[name] = Value(type=kind, template=template)
        return found

    def _consent(self, node: Node) -> ConsentTerm | None:
        read = self._read
        keys = read.settings(node, "a consent", _CONSENT, ("channel", "purpose", "basis"))
        granted = keys.get("granted_at")
        return ConsentTerm(
            channel=read.choice(keys.get("channel"), "channel", CHANNELS, ""),
            purpose=read.choice(keys.get("purpose"), "purpose", PURPOSES, ""),
            basis=read.text(keys.get("basis"), "a basis"),
            granted_at=None if granted is None else self._value(granted, "time", required=False),
        )


def _value_type(word: str) -> FieldType:
    return next((name for name in VALUE_TYPES if name == word), "text")


def template_pieces(template: str) -> list[tuple[str, str | None]]:
    """Cut a template into fixed texts (text, None) and columns ('', name), in order.

    >>> template_pieces("patient-{Id}@clinic.example")
    [('patient-', None), ('', 'Id'), ('@clinic.example', None)]
    """
    pieces = _PLACEHOLDER.split(template)
    cut = [(piece, None) if n % 2 == 0 else ("", piece) for n, piece in enumerate(pieces)]
    return [(text, name) for text, name in cut if text or name]
