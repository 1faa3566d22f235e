"""Sets the templates beside: a page of markdown, in which any number of blank lines is one."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.records.run import DIVERGED, FINISHED
from stages.report.formats import NOTHING, fixed, listed
from stages.report.markdown import code, escape
from stages.report.outcomes import mark, remark

_BLANK_LINES = re.compile(r"\n{3,}")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,  # noqa: S701 (markdown; the filter `text` escapes what is plain text)
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {"NOTHING": NOTHING, "FINISHED": FINISHED, "DIVERGED": DIVERGED}
    environment.filters |= {"text": escape, "code": code, "fixed": fixed, "listed": listed, "mirrored": _mirrored}
    environment.filters |= {"mark": mark, "remark": remark}
    return environment


def _mirrored(run: str) -> str:
    """An MLflow run's id, which is empty for one that was not mirrored."""
    return code(run) if run else "not mirrored"


_ENVIRONMENT = _environment()


def markdown(template: str, **content: object) -> str:
    """A page, or a piece of one, that ends with a line's end. Plain text in it must be escaped by the template."""
    page = _ENVIRONMENT.get_template(f"{template}.md.j2").render(**content)
    return _BLANK_LINES.sub("\n\n", page).strip("\n") + "\n"
