"""The handbook as Markdown and as one HTML page that needs nothing else."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from rules.handbook import STATUS_WORDS, Chapter, Example, OfferTable, Proposal, RulePage

# Colours keep at least 4.5:1 against their background in both schemes (WCAG 2.2, 1.4.3).
_STYLE = """
:root { color-scheme: light dark; --text: #1a1a1a; --soft: #555; --page: #fff; --line: #ccc;
  --box: #f5f5f2; --link: #0b5394; }
@media (prefers-color-scheme: dark) { :root { --text: #eee; --soft: #bbb; --page: #161616;
  --line: #444; --box: #222; --link: #8ab8ff; } }
* { box-sizing: border-box; }
body { font: 1rem/1.55 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 52rem; margin: 0 auto; padding: 1.5rem; overflow-wrap: anywhere; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; }
h2 { border-bottom: 1px solid var(--line); padding-bottom: .3rem; margin-top: 3rem; }
article { border: 1px solid var(--line); border-radius: .5rem; padding: 0 1.25rem 1rem;
  margin: 1.5rem 0; }
.soft { color: var(--soft); }
.example { background: var(--box); border-radius: .35rem; padding: .6rem .9rem; margin: .6rem 0; }
.example p, .example ul { margin: .2rem 0; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  vertical-align: top; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } nav, .skip { display: none; }
  article, .example, table { break-inside: avoid; } a { color: inherit; text-decoration: none; } }
"""


def handbook_markdown(chapters: Sequence[Chapter], title: str) -> str:
    """The handbook as Markdown."""
    lines = [f"# {_plain(title)}", "", _summary(chapters), ""]
    for chapter in chapters:
        lines += [f"## {_plain(chapter.pack)} ({chapter.file})", ""]
        for page in chapter.rules:
            lines += [*_page_markdown(page), ""]
    return "\n".join(lines).rstrip() + "\n"


def _summary(chapters: Sequence[Chapter]) -> str:
    pages = [page for chapter in chapters for page in chapter.rules]
    counts = {name: sum(page.status == name for page in pages) for name in STATUS_WORDS}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{len(pages)} rules: {said or 'none'}."


def _page_markdown(page: RulePage) -> Iterator[str]:
    yield f"### {_plain(page.title)}"
    yield ""
    yield _plain(page.why)
    yield ""
    yield f"`{page.id}` · {STATUS_WORDS[page.status]} {_plain(_owner(page))}".rstrip()
    yield ""
    yield f"**{_when_head(page)}**"
    yield ""
    yield from (f"- {_plain(words)}" for words in page.when)
    if page.unless:
        yield from ("", "**But not if one of these is true**", "")
        yield from (f"- {_plain(words)} – {_plain(because)}" for words, because in page.unless)
    if page.offers is not None:
        yield from ("", "**Which offer**, the first row that fits", "")
        yield from _table_markdown(page.offers.columns, page.offers.rows)
    for proposal in page.proposals:
        yield from ("", f"**{_proposal_head(proposal)}**", "")
        yield from (f"- {what}: {_plain(words)}" for what, words in proposal.says)
    yield from ("", "**Timing**", "")
    yield from (f"- {_plain(words)}" for words in page.timing)
    if page.examples:
        yield from ("", "**Examples**", "")
    for example in page.examples:
        yield f"- *{_plain(example.name)}*: {_plain(_story(example))}"


def _table_markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row_markdown(head)
    yield "|" + " --- |" * len(head)
    yield from map(_row_markdown, rows)


def _row_markdown(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#" else c for c in " ".join(text.split()))


def _owner(page: RulePage) -> str:
    return f"Owner: {page.owner}." if page.owner else ""


def _when_head(page: RulePage) -> str:
    return (
        f"For each {page.about}, when all of this is true"
        if page.about
        else ("When all of this is true")
    )


def _proposal_head(proposal: Proposal) -> str:
    return f"Then, as the offer “{proposal.offer}”" if proposal.offer else "Then"


def _story(example: Example) -> str:
    known = f"; {'; '.join(example.known)}" if example.known else ""
    happened = f". Before: {'; '.join(example.happened)}" if example.happened else ""
    return f"on {example.today}{known}{happened}. The rule {example.outcome}."


def handbook_html(chapters: Sequence[Chapter], title: str, language: str = "en") -> str:
    """The handbook as one HTML page: no script, nothing loaded from elsewhere."""
    body = "\n".join(_chapter_html(number, chapter) for number, chapter in enumerate(chapters))
    return f"""<!DOCTYPE html>
<html lang="{escape(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<a class="skip" href="#rules">Skip to the rules</a>
<header>
<h1>{escape(title)}</h1>
<p>{escape(_summary(chapters))}</p>
</header>
<nav aria-label="Contents">
{_contents_html(chapters)}
</nav>
<main id="rules">
{body}
</main>
</body>
</html>
"""


def _contents_html(chapters: Sequence[Chapter]) -> str:
    def entries(number: int, chapter: Chapter) -> str:
        links = "".join(
            f'<li><a href="#{_anchor(number, page)}">{escape(page.title)}</a> '
            f'<span class="soft">{escape(page.status)}</span></li>'
            for page in chapter.rules
        )
        return f"<li>{escape(chapter.pack)}<ol>{links}</ol></li>"

    return "<ul>" + "".join(entries(n, c) for n, c in enumerate(chapters)) + "</ul>"


def _anchor(number: int, page: RulePage) -> str:
    return escape(f"rule-{number + 1}-{page.id}")


def _chapter_html(number: int, chapter: Chapter) -> str:
    pages = "\n".join(_page_html(_anchor(number, page), page) for page in chapter.rules)
    head = f"<h2>{escape(chapter.pack)}</h2>\n<p class='soft'>{escape(chapter.file)}</p>"
    return f"<section>\n{head}\n{pages}\n</section>"


def _page_html(anchor: str, page: RulePage) -> str:
    status = escape(f"{STATUS_WORDS[page.status]} {_owner(page)}".rstrip())
    unless = [f"{words} – {because}" for words, because in page.unless]
    parts = [
        f'<article id="{anchor}">',
        f"<h3>{escape(page.title)}</h3>",
        f"<p>{escape(page.why)}</p>",
        f'<p class="soft"><code>{escape(page.id)}</code> · {status}</p>',
        _listed(_when_head(page), page.when),
        _listed("But not if one of these is true", unless),
        _table_html(page.offers) if page.offers else "",
        *(_proposal_html(proposal) for proposal in page.proposals),
        _listed("Timing", page.timing),
        "<h4>Examples</h4>" if page.examples else "",
        *(_example_html(example) for example in page.examples),
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def _listed(head: str, items: Iterable[str]) -> str:
    lines = _items_html(items)
    return f"<h4>{escape(head)}</h4>\n{lines}" if lines else ""


def _items_html(items: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(item)}</li>" for item in items)
    return f"<ul>{lines}</ul>" if lines else ""


def _table_html(table: OfferTable) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return (
        "<h4>Which offer, the first row that fits</h4>\n"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _proposal_html(proposal: Proposal) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(what)}</th><td>{escape(words)}</td></tr>'
        for what, words in proposal.says
    )
    return f"<h4>{escape(_proposal_head(proposal))}</h4>\n<table><tbody>{rows}</tbody></table>"


def _example_html(example: Example) -> str:
    known = f"<p>{escape('; '.join(example.known))}</p>" if example.known else ""
    return (
        f'<div class="example"><p><strong>{escape(example.name)}</strong> '
        f'<span class="soft">on {escape(example.today)}</span></p>{known}'
        f"{_items_html(example.happened)}<p>The rule {escape(example.outcome)}.</p></div>"
    )
