"""The book as one HTML file: its pages are sections with an address each, and everything they need is inside.

The bytes follow from the results, the parameters, the paper's numbers and this package alone: no time of making, no
path of a machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from stages.audit_paper.finding import Confidence, Finding
from stages.book.assets import TEMPLATES, assets
from stages.book.dot_plot import Scale
from stages.book.networks import NetworkPage
from stages.book.numbers import address, number_pages
from stages.book.payload import payload
from stages.config.schema import PAPER_TABLES, Assumption, Table
from stages.core.progress import duration
from stages.report.captions import (
    differences_sentences,
    done_sentence,
    interval_sentence,
    interval_title,
    replaced_sentence,
    seeds_sentence,
    verdict_sentence,
)
from stages.report.claims import under_paper_conditions
from stages.report.claims_page import paired_column, reason, statistic
from stages.report.conditions import conditions
from stages.report.evidence import Evidence
from stages.report.formats import MINUS, NOTHING, typeset
from stages.report.markdown import marked
from stages.report.outcomes import legend, remark
from stages.report.render import RenderedText, about
from stages.report.rows import TableRow, lines, table_rows
from stages.report.started import attempts_sentence
from stages.report.studies import Comparison, compare_studies
from stages.report.study_pages import held_against, run_sentences
from stages.report.tables import cost_texts
from stages.stats.claims import ClaimResult

_SMALL, _LEAST = 1e-3, 1e-300  # below the first, powers of ten; below the second, floating point ends


@dataclass(frozen=True)
class TablePart:
    """A table on the first page."""

    number: Table
    of_paper: bool
    costs: dict[str, list[str]]
    caption: str
    rows: list[TableRow]
    scale: Scale
    note: str

    @property
    def lines(self) -> list[TableRow]:
        """Every row, and behind it its as-logged one."""
        return lines(self.rows)


@dataclass(frozen=True)
class StudyPart:
    """A study, with what it came to where one of its alternatives was run."""

    name: str
    question: str
    assumption: str
    comparison: Comparison | None
    held: str
    run: str


@dataclass(frozen=True)
class AssumptionPart:
    """A line of the assumption ledger with the studies that try it."""

    line: Assumption
    studies: list[StudyPart]


def book(
    evidence: Evidence,
    claims: Sequence[ClaimResult],
    findings: Sequence[Finding],
    networks: Sequence[NetworkPage] = (),
) -> RenderedText:
    """The whole file. Raises CorruptFileError where results of one data set were not tested on the same images."""
    numbers = number_pages(evidence)
    comparisons = compare_studies(evidence)
    studies = _studies(evidence, comparisons)
    tables = [_table(evidence, number) for number in evidence.params.shown_tables]
    cells = [row.results for table in tables for row in lines(table.rows)]
    return RenderedText.of(
        _environment({str(number.row.key): number.id for number in numbers})
        .get_template("book.html.j2")
        .render(
            assets=assets(),
            budget=evidence.budget_name,
            budget_caption=evidence.budget.caption,
            done_sentence=done_sentence(evidence.cells.values()),
            seeds_sentence=seeds_sentence(cells),
            interval_title=interval_title(evidence),
            interval_sentence=interval_sentence(evidence, cells),
            as_paper=under_paper_conditions(evidence),
            tables=tables,
            marks=legend(cells),
            attempts_sentence=attempts_sentence(evidence),
            numbers=numbers,
            by_key={str(number.row.key): number for number in numbers},
            studies=studies,
            studies_of=_studies_of(studies),
            assumptions=[
                AssumptionPart(line, [study for study in studies if study.assumption == line.id])
                for line in evidence.params.assumptions
            ],
            claims=claims,
            evidence=evidence,
            networks=networks,
            network_of={cell: page.network for page in networks for cell in page.network.cells},
            reason=reason,
            statistic=statistic,
            paired_column=paired_column,
            findings=[(level, [one for one in findings if one.confidence == level]) for level in Confidence],
            payload=Markup(payload(evidence, numbers, comparisons)),  # noqa: S704 (escaped there)
        ),
        lasting=True,
    )


def _table(evidence: Evidence, number: Table) -> TablePart:
    table, rows = evidence.params.tables[number], table_rows(evidence, number)
    found = conditions(evidence, table.dataset, evidence.table_cells(number))
    sentences = [
        done_sentence([row.results for row in lines(rows)]),
        f"{', '.join(found.sizes())}.".capitalize(),
        replaced_sentence(found),
        *differences_sentences([(row.row, row.results) for row in lines(rows)]),
    ]
    if found.as_paper and number in PAPER_TABLES:
        sentences.append(verdict_sentence(evidence, number))
    return TablePart(
        number,
        number in PAPER_TABLES,
        {row.row: cost_texts(row) for row in rows},
        table.caption,
        rows,
        _scale(rows),
        " ".join(sentence for sentence in sentences if sentence),
    )


def _scale(rows: list[TableRow]) -> Scale:
    """The scale that holds all numbers of a table, with their intervals."""
    values = [float(row.paper) for row in rows if row.paper]
    for row in lines(rows):
        values += [value for value in (row.mean, *(row.interval or ())) if value is not None]
    return Scale.of(values)


def _studies(evidence: Evidence, comparisons: list[Comparison]) -> list[StudyPart]:
    by_name = {comparison.name: comparison for comparison in comparisons}
    return [
        StudyPart(
            name,
            study.question,
            study.assumption,
            comparison,
            held_against(evidence, comparison) if comparison else "",
            run_sentences(evidence, comparison) if comparison else "",
        )
        for name, study in evidence.params.studies.items()
        for comparison in (by_name.get(name),)
    ]


def _studies_of(studies: list[StudyPart]) -> dict[str, list[StudyPart]]:
    """The studies that were run, by the cells in them."""
    found: dict[str, list[StudyPart]] = {}
    for study in studies:
        for candidate in study.comparison.candidates if study.comparison else ():
            found.setdefault(str(candidate.results.key), []).append(study)
    return found


def _environment(pages: Mapping[str, str]) -> Environment:
    """The templates' environment; `pages` are the addresses of the numbers' pages, by cell."""

    def page_of(row: TableRow) -> str:
        return pages.get(str(row.key), address(row))

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"inline": inline, "short": lambda hash_: hash_[:10], "p": p_value, "n": typeset}
    environment.filters["duration"] = duration
    environment.globals["about"] = about
    environment.filters |= {"address": page_of, "remark": lambda row: remark(row.results).strip(" ()")}
    return environment


def inline(text: str) -> Markup:
    """A sentence of the reports' markdown as HTML: code and emphasis."""
    return Markup("").join(
        Markup("<{0}>{1}</{0}>").format(Markup(mark), part) if mark else escape(part)  # noqa: S704 (one of three tags)
        for mark, part in marked(text)
    )


def p_value(p: float | None) -> str | Markup:
    """A p value with the digits that mean something."""
    if p is None:
        return NOTHING
    if p >= _SMALL:
        return f"{p:.3f}"
    if p < _LEAST:
        return Markup("&lt; 10<sup>{}</sup>").format(_signed_exponent(_LEAST))
    return Markup("{} × 10<sup>{}</sup>").format(f"{p:.1e}".partition("e")[0], _signed_exponent(p))


def _signed_exponent(p: float) -> str:
    return str(int(f"{p:.1e}".partition("e")[2])).replace("-", MINUS)
