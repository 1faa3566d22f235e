"""The tables for papers: each as LaTeX in the style of booktabs, and `numbers.tex` with one macro for each number.

    \\usepackage{booktabs}            in the preamble
    \\input{numbers.tex}              \\PaperCifarOneZeroVggOneSixAdamMean is then 79.66
    \\input{table_4.tex}              a table environment with the label tab:iv

A macro's name is the budget, the cell and the quantity. TeX allows letters alone in it, so that each digit is a word.
The mean of a cell without a result is a LaTeX error that names the cell; what goes on after it prints ?? in its place.
"""

import re
from collections.abc import Iterator

import pandas as pd

from stages.config.schema import PAPER_TABLES, Table
from stages.core.errors import StageError
from stages.records.evaluation import Evaluation
from stages.report.captions import interval_title, table_caption
from stages.report.evidence import Evidence
from stages.report.formats import NOTHING, fixed
from stages.report.markdown import Mark, marked
from stages.report.outcomes import absent, legend, mark
from stages.report.render import RenderedText, about
from stages.report.rows import TableRow, all_rows, first_rows, lines, table_rows
from stages.stats.verdicts import UNJUDGED, UNJUDGED_SHORT

NUMBERS = "numbers.tex"
_LABELS = "p{0.31\\linewidth}"  # the column of the labels, so that a table fits article's lines
_LABELS_BESIDE_DEVIATIONS = "p{0.22\\linewidth}"
_SET = "\\small\\setlength{\\tabcolsep}{3pt}\n"
_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "`": "\\textasciigrave{}",
    "\n": " ",
    "\N{MINUS SIGN}": "\\ensuremath{-}",
    "\N{PLUS-MINUS SIGN}": "\\ensuremath{\\pm}",
    "\N{MULTIPLICATION SIGN}": "\\ensuremath{\\times}",
    "\N{DAGGER}": "\\dag{}",
    "\N{DOUBLE DAGGER}": "\\ddag{}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{GREEK SMALL LETTER BETA}": "\\ensuremath{\\beta}",
}
_COMMANDS: dict[Mark, str] = {"code": "texttt", "strong": "textbf", "em": "emph"}


def escaped(text: str) -> str:
    """Plain text as LaTeX prints it."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def from_markdown(text: str) -> str:
    """A sentence of the reports' markdown as LaTeX: code, strong and emphasis."""
    return "".join(f"\\{_COMMANDS[kind]}{{{escaped(part)}}}" if kind else escaped(part) for kind, part in marked(text))


def table_tex(evidence: Evidence, number: Table) -> RenderedText:
    """A table as a LaTeX table environment, an as-logged number in a line of its own below its row."""
    rows = lines(table_rows(evidence, number))
    header = ["row", "paper", "ours", interval_title(evidence), "n", "difference", "verdict"]
    content = pd.DataFrame([_cells(row) for row in rows], columns=header)
    if number not in PAPER_TABLES:
        content = content.drop(columns=["paper", "difference", "verdict"])
    has_deviations = any(row.std is not None for row in rows)
    columns = {"row": _LABELS_BESIDE_DEVIATIONS if has_deviations else _LABELS, "verdict": "l"}
    content.columns = content.columns.map(escaped)
    short = f"Table {number}: {evidence.params.tables[number].caption}"
    text = content.style.hide(axis="index").to_latex(
        hrules=True,
        column_format="".join(columns.get(title, "r") for title in content.columns),
        position_float="centering",
        caption=(from_markdown(table_caption(evidence, number)), escaped(short)),
        label=f"tab:{number.lower()}",
    )
    notes = "".join(f"\n\\par\\footnotesize {escaped(note)}" for note in legend([row.results for row in rows]))
    text = text.replace("\\caption", "\\setlength{\\belowcaptionskip}{4pt}\n\\caption", 1)
    text = text.replace("\\begin{tabular}", _SET + "\\begin{tabular}")
    text = text.replace("\\end{tabular}", "\\end{tabular}" + notes)
    return RenderedText.of(f"% Budget {evidence.budget_name}. Needs \\usepackage{{booktabs}}.\n{text}")


def _cells(row: TableRow) -> list[str]:
    word = row.verdict.word if row.verdict else NOTHING
    ours = escaped(row.mean_text + (f" ± {row.std_text}" if row.std is not None else "") + mark(row.results))
    interval = "--".join(fixed(end, row.decimals) for end in row.interval) if row.interval else NOTHING
    label = "\\quad as logged" if row.is_as_logged else escaped(row.row)
    short = UNJUDGED_SHORT if word == UNJUDGED else word
    paper, *others = map(escaped, [row.paper or NOTHING, interval, str(row.n), row.difference_text, short])
    return [f"{about(row.key)}\\raggedright {label}", paper, ours, *others]


def numbers_tex(evidence: Evidence) -> RenderedText:
    """One macro for each number, with a comment that names the runs and commits behind it.

    A cell has its mean, its n, and as far as they are: deviation, both ends of the interval; a table's own row also the
    paper's number and the difference. Raises StageError for two numbers of one name.
    """
    macros: dict[str, str] = {}
    for row in first_rows(all_rows(evidence)).values():
        comment = f"% Table {row.table}, {row.row}" if not row.is_alternative else f"% {row.key}"
        comment += "".join(f"; {_origin(result)}" for result in row.results.results) or f"; {absent(row.results)}"
        for quantity, value in _quantities(row):
            name = macro_name(evidence.budget_name, row.key.dataset, row.key.name, quantity)
            if name in macros:
                raise StageError(f"params.yaml: {row.key}: its macro \\{name} is another cell's too; rename the cell")
            text = escaped(value) if row.has_run or quantity != "mean" else _missing(row, evidence.budget_name)
            macros[name] = f"{about(row.key)}\\newcommand{{\\{name}}}{{{text}}}{comment}"
    head = f"% Budget {evidence.budget_name}: accuracies in percent, differences in points."
    return RenderedText.of("\n".join([head, *macros.values()]) + "\n")


def _missing(row: TableRow, budget: str) -> str:
    """An error of LaTeX, and the mark by which LaTeX prints a reference that leads nowhere."""
    said = f"{row.key} has no result at budget {budget}"
    return f"\\PackageError{{{NUMBERS}}}{{{said}}}{{Run it, or leave it out.}}\\textbf{{??}}"


def macro_name(*words: str) -> str:
    """Words as one name of letters: `vgg16-adam` is `VggOneSixAdam`."""
    parts = re.findall(r"[a-z]+|[0-9]", " ".join(words).lower())
    return "".join(_DIGITS[int(part)] if part.isdigit() else part.capitalize() for part in parts)


def _quantities(row: TableRow) -> Iterator[tuple[str, str]]:
    yield "mean", row.mean_text
    yield "n", str(row.n)
    if row.std is not None:
        yield "std", row.std_text
    if row.interval:
        yield from zip(("low", "high"), (fixed(end, row.decimals) for end in row.interval), strict=True)
    if row.paper is not None and not row.is_alternative:
        yield "printed", row.paper
        if row.difference is not None:
            yield "difference", row.difference_text


def _origin(result: Evaluation) -> str:
    """Which run made a result, at which commit."""
    git = result.run.provenance.git
    run = f"MLflow run {result.mlflow_run}" if result.mlflow_run else "not mirrored in MLflow"
    changed = " with uncommitted changes" if git.dirty else ""
    return f"seed {result.seed}: {result.run.stage}, {run}, commit {git.commit}{changed}"
