"""The part of Jinja2 a template may use.

A sandbox alone is not enough: it lets nested loops, giant powers, string multiplication and
attribute access through. So the source is parsed and every node must be on a short list: text,
declared names, conditions and a few filters. No calls, loops, attributes, arithmetic,
assignments, macros, includes; such a template can neither hang, nor leak, nor run anything.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.errors import Finding, InvalidInput, InvalidTemplate

_ALLOWED_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Filter,
    nodes.Test,
)  # fmt: skip
_FILTERS = ("default", "upper", "lower", "title", "capitalize", "trim")
_TESTS = ("defined",)
# A misspelt filter has names inside that may be misspelt as well; what lies inside a refused
# construct is refused with it.
_INSIDE_STILL_COUNTS = ("T103", "T104")

# A line that holds nothing but a tag is no line of the message.
_TAG_LINE = re.compile(r"^[ \t]*(\{%[^\n]*?%\})[ \t]*\n", re.MULTILINE)
_MAX_SOURCE = 20_000
_MAX_NODES = 400
_MAX_CONSTANT = 200

_CODES = {
    "T101": "syntax error", "T102": "construct not allowed", "T103": "unknown name",
    "T104": "unknown filter or test", "T105": "too large",
}  # fmt: skip

# Autoescape is off because the result is plain text; the HTML part is made from it by escaping
# all of it (`render.py`), so there is one place where markup can arise.
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    autoescape=False,
    keep_trailing_newline=False,
)


class MissingFact(InvalidInput):
    """A template needs a fact that was not given."""

    code = "missing_fact"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A checked template: `file` for errors, `names` it may read."""

    file: str
    names: frozenset[str]
    template: Template

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with the values of its names put in.

        Raises:
            MissingFact: a name it reads has no value.
        """
        try:
            return self.template.render({n: values[n] for n in self.names if n in values})
        except UndefinedError as error:
            raise MissingFact(
                f"{self.file}: {error.message}.",
                hint="Give the fact, or guard it with {% if name is defined %}.",
            ) from error


def compiled(source: str, *, file: str, names: Iterable[str], first_line: int = 1) -> Compiled:
    """Check and compile one template text.

    Args:
        source: Jinja2 text.
        file: shown in errors.
        names: what it may read.
        first_line: line of the file the text starts at.

    Raises:
        InvalidTemplate: with all faults found, each with file, line and, where it can be guessed,
            the name that was meant.
    """
    declared = frozenset(names)
    if len(source) > _MAX_SOURCE:
        raise _invalid([Finding("T105", f"longer than {_MAX_SOURCE} characters", file, first_line)])
    try:
        tree = _ENVIRONMENT.parse(source)
    except TemplateSyntaxError as error:
        line = error.lineno + first_line - 1
        raise _invalid([Finding("T101", error.message or "syntax error", file, line)]) from error
    except RecursionError as error:
        raise _invalid([Finding("T105", "nested too deep", file, first_line)]) from error
    findings = _Check(source.splitlines(), file, first_line, declared).of(tree)
    if findings:
        raise _invalid(findings)
    try:
        return Compiled(file, declared, _ENVIRONMENT.from_string(_TAG_LINE.sub(r"\1", source)))
    except (TemplateSyntaxError, SyntaxError, RecursionError) as error:
        raise _invalid([Finding("T101", str(error), file, first_line)]) from error


@dataclass(frozen=True, slots=True)
class _Check:
    lines: list[str]
    file: str
    first_line: int
    names: frozenset[str]

    def of(self, tree: nodes.Template) -> list[Finding]:
        findings: list[Finding] = []
        pending: list[nodes.Node] = [tree]
        seen = 0
        while pending:
            node = pending.pop()
            seen += 1
            if seen > _MAX_NODES:
                return [Finding("T105", f"more than {_MAX_NODES} parts", self.file, 1)]
            finding = self._fault(node)
            if finding:
                findings.append(finding)
            if finding is None or finding.code in _INSIDE_STILL_COUNTS:
                pending.extend(node.iter_child_nodes())
        return sorted(findings, key=lambda each: (each.line, each.column))

    def _fault(self, node: nodes.Node) -> Finding | None:
        if not isinstance(node, _ALLOWED_NODES):
            return self._finding("T102", f"{type(node).__name__} is not allowed", node, "")
        if isinstance(node, nodes.Name):
            return self._unknown("T103", "name", node.name, self.names, node)
        if isinstance(node, nodes.Filter):
            return self._unknown("T104", "filter", node.name, _FILTERS, node)
        if isinstance(node, nodes.Test):
            return self._unknown("T104", "test", node.name, _TESTS, node)
        if isinstance(node, nodes.Const) and len(str(node.value)) > _MAX_CONSTANT:
            return self._finding("T105", "a constant is too long", node, "")
        return None

    def _unknown(
        self, code: str, kind: str, name: str, known: Iterable[str], node: nodes.Node
    ) -> Finding | None:
        if name in known:
            return None
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}."
        return self._finding(code, f"unknown {kind} {name!r}", node, hint, word=name)

    def _finding(
        self, code: str, message: str, node: nodes.Node, hint: str, word: str = ""
    ) -> Finding:
        text = self.lines[node.lineno - 1] if node.lineno <= len(self.lines) else ""
        found = re.search(rf"\b{re.escape(word)}\b", text) if word else None
        return Finding(
            code=code,
            message=message,
            file=self.file,
            line=node.lineno + self.first_line - 1,
            column=found.start() + 1 if found else 0,
            width=max(len(word), 1),
            text=text,
            hint=hint,
        )


def _invalid(findings: list[Finding]) -> InvalidTemplate:
    first = findings[0]
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return InvalidTemplate(
        f"{first.file}:{first.line}: {_CODES[first.code]}: {first.message}{more}.",
        findings,
        hint=first.hint or "Use text, declared names, if/else and simple filters only.",
    )
