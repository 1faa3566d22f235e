"""Sets the templates beside: a page of markdown, in which any number of blank lines is one.

A template says with `about(cell, seed)` which number a line is about; the page keeps that beside its text.
"""

import re
from pathlib import Path
from typing import NamedTuple, Self

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.records.planned import NOT_RUN
from stages.records.run import DIVERGED, FINISHED
from stages.report.formats import NOTHING, fixed, listed
from stages.report.markdown import code, escape
from stages.report.outcomes import mark, remark

_MARK = re.compile("\0([^\0@]*)@([0-9]*)\0")
_BLANK_LINES = re.compile(r"\n{3,}")


class About(NamedTuple):
    """What a line is about: a cell, and one of its seeds or all of them (None)."""

    cell: str
    seed: int | None


class RenderedText(str):
    """The text of a page, and for each of its lines which number that is about, if any."""

    about: list[About | None]

    @classmethod
    def of(cls, marked: str, lasting: bool = False) -> Self:
        """Take out the marks that `about` made; with `lasting`, one holds until the next."""
        lines, current = [], None
        for line in marked.splitlines():
            for cell, seed in _MARK.findall(line):
                current = About(cell, int(seed) if seed else None) if cell else None
            lines.append(current)
            current = current if lasting else None
        page = cls(_MARK.sub("", marked))
        page.about = lines
        return page


def about(cell: object = "", seed: int | None = None) -> str:
    """The mark of a line that is about a cell, or one of its seeds; of no cell, the end of a lasting one."""
    return f"\0{cell}@{'' if seed is None else seed}\0"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,  # noqa: S701 (markdown; the filter `text` escapes what is plain text)
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {
        "NOTHING": NOTHING,
        "NOT_RUN": NOT_RUN,
        "FINISHED": FINISHED,
        "DIVERGED": DIVERGED,
        "about": about,
    }
    environment.filters |= {"text": escape, "code": code, "fixed": fixed, "listed": listed, "mirrored": _mirrored}
    environment.filters |= {"mark": mark, "remark": remark}
    return environment


def _mirrored(run: str) -> str:
    """An MLflow run's id, which is empty for one that was not mirrored."""
    return code(run) if run else "not mirrored"


_ENVIRONMENT = _environment()


def markdown(template: str, **content: object) -> RenderedText:
    """A page, or a piece of one, that ends with a line's end. Plain text in it must be escaped by the template."""
    page = _ENVIRONMENT.get_template(f"{template}.md.j2").render(**content)
    return RenderedText.of(_BLANK_LINES.sub("\n\n", page).strip("\n") + "\n")
