"""All the files of the reports, by their folders."""

import os
from pathlib import Path

from stages.report.appendix import appendix_page
from stages.report.cards import card_files
from stages.report.claims import judge_claims
from stages.report.claims_page import claims_page
from stages.report.evidence import Evidence
from stages.report.gallery import gallery
from stages.report.latex import NUMBERS, numbers_tex, table_tex
from stages.report.overview import overview_page
from stages.report.studies import compare_studies
from stages.report.study_pages import study_page
from stages.report.tables import table_csv, table_index, table_page
from stages.report.views import view_files


def all_files(
    evidence: Evidence, tables: Path, figures: Path, studies: Path, views: Path, cards: Path
) -> dict[Path, dict[str, bytes | str]]:
    """The content of every file in these folders."""
    files: dict[Path, dict[str, bytes | str]] = {figures: {**gallery(evidence)}}
    for folder, texts in text_files(evidence, tables, figures, studies, views, cards).items():
        files[folder] = {**texts}
    return files


def text_files(
    evidence: Evidence, tables: Path, figures: Path, studies: Path, views: Path, cards: Path
) -> dict[Path, dict[str, str]]:
    """The pages, CSV, JSON and LaTeX files alone, by their folders; nothing is drawn."""
    pages, study_pages = _pages(evidence, _way(tables, figures), _way(tables, studies))
    return {tables: pages, studies: study_pages, views: view_files(evidence), cards: card_files(evidence)}


def _pages(evidence: Evidence, figures: str, studies: str) -> tuple[dict[str, str], dict[str, str]]:
    """The files of the tables' and the studies' folder; `figures` and `studies` are the ways there from the tables."""
    comparisons = compare_studies(evidence)
    tables: dict[str, str] = {
        "tables.md": overview_page(evidence, comparisons, figures, studies),
        "appendix.md": appendix_page(evidence, figures),
        "claims.md": claims_page(evidence, judge_claims(evidence)),
        NUMBERS: numbers_tex(evidence),
    }
    for number in evidence.params.shown_tables:
        name = f"table_{table_index(number)}"
        tables |= {f"{name}.csv": table_csv(evidence, number), f"{name}.md": table_page(evidence, number, figures)}
        tables[f"{name}.tex"] = table_tex(evidence, number)
    return tables, {f"{comparison.name}.md": study_page(evidence, comparison) for comparison in comparisons}


def _way(start: Path, to: Path) -> str:
    """The relative link from one output folder to another."""
    return Path(os.path.relpath(to, start)).as_posix()
