"""The few pieces of markdown that the reports are made of, in the form that the usual forges render."""

import re
from collections.abc import Iterator, Sequence
from html import unescape
from typing import Literal, cast

Mark = Literal["code", "strong", "em"]

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "\n": " ", "\r": " "}
_MARKED = re.compile(r"`(?P<code>[^`]*)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*]+)\*")


def escape(text: str) -> str:
    """Plain text that may hold `<name>` or `|`, which markdown would swallow. Backticks keep their meaning."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def code(text: str) -> str:
    """A name as code."""
    return "`" + " ".join(text.replace("|", "\\|").split("\n")) + "`"


def plain(text: str) -> str:
    """Markdown without the marks of code."""
    return text.replace("`", "")


def marked(text: str) -> Iterator[tuple[Mark | None, str]]:
    """The parts of a sentence of the reports as plain text, each with its mark."""
    text, end = unescape(text.replace("\\|", "|")), 0
    for found in _MARKED.finditer(text):
        yield None, text[end : found.start()]
        mark = cast(Mark, found.lastgroup)
        yield mark, found[mark]
        end = found.end()
    yield None, text[end:]


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """A table; the columns whose indices stand in `numbers` are aligned to the right."""
    rule = ["---:" if column in numbers else "---" for column in range(len(header))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *rows))


def document(*parts: str) -> str:
    """Paragraphs, tables and headings as one file; empty parts are left out."""
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"
