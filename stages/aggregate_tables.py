"""Stage 5: the evaluated cells -> Tables I-VI beside the paper's numbers, appendix, figures, studies, ledger, the book.

    python -m stages.aggregate_tables --budget quick --cells reports/quick/cells \\
        --architectures reports/quick/architectures --tables-out reports/quick/tables \\
        --figures-out reports/quick/figures --studies-out reports/quick/studies --views-out reports/quick/views \\
        --cards-out reports/quick/cards \\
        --ledger-out reports/quick/ledger.csv --ledger-json-out reports/quick/ledger.json \\
        --book-out reports/quick/index.html

In:  one JSON file for each planned cell and seed that has run (stage `evaluate`), data/paper/*.csv, params.yaml;
     the networks as they are built (stage `architectures`).
Out: <tables-out>/ table_1..6.csv, .md and .tex, and table_s1a and so on of shown tables that the paper does not have;
     numbers.tex (a macro for each number), tables.md (all tables, the assumption ledger, the studies), claims.md (what
     the paper says in words, tested), appendix.md (reports and logs in the form of its Figs. 6-17); <figures-out>/
     confusion_<data set>_<family> (Figs. 18-23), curves_table_1..6, cost_<data set> (accuracy against training time),
     printed_curves (the curves of its logs, with ours), each as PNG, PDF and SVG; <studies-out>/<name>.md for each
     study of which an alternative has run; <views-out>/ metrics.json, accuracy.csv, curves.csv, which `dvc metrics` and
     `dvc plots` show; <cards-out>/<data set>-<cell>.md, a model card for each cell; <ledger-out>, <ledger-json-out>:
     every number with its stages, MLflow run, commit, machine, and the hashes of its spec, settings, code, data,
     weights and predictions; <book-out>: all of it in one HTML file that opens without a server.
The tables stand on the results that there are: what has not run is said or left out. A result that does not add up,
does not say where it comes from, or has other settings than params.yaml stops it before anything is written, and so
does having no result at all: older pages then stay as they are.
"""

import stages.core.environment  # noqa: F401  # isort: skip

from pathlib import Path

import click

from stages.core.errors import StageError
from stages.core.imports import without_collection
from stages.core.locks import exclusive
from stages.core.progress import say
from stages.records.attempts import Attempts
from stages.records.evaluation import ResultReader
from stages.records.planned import params_of_pages
from stages.report.folders import check_folders, rebuild


@click.command()
@click.option("--budget", help="one of params.yaml's budgets; by default the one chosen there")
@click.option("--cells", type=click.Path(path_type=Path), required=True, help="folder of the evaluated cells")
@click.option("--attempts", type=click.Path(path_type=Path), help="the trainings that were started, by line")
@click.option("--architectures", type=click.Path(path_type=Path), help="the networks as built, by default none")
@click.option("--tables-out", type=click.Path(path_type=Path), required=True)
@click.option("--figures-out", type=click.Path(path_type=Path), required=True)
@click.option("--studies-out", type=click.Path(path_type=Path), required=True)
@click.option("--views-out", type=click.Path(path_type=Path), required=True)
@click.option("--cards-out", type=click.Path(path_type=Path), required=True)
@click.option("--ledger-out", type=click.Path(path_type=Path), required=True)
@click.option("--ledger-json-out", type=click.Path(path_type=Path), required=True)
@click.option("--book-out", type=click.Path(path_type=Path), required=True)
def main(
    budget: str | None,
    cells: Path,
    attempts: Path | None,
    architectures: Path | None,
    tables_out: Path,
    figures_out: Path,
    studies_out: Path,
    views_out: Path,
    cards_out: Path,
    ledger_out: Path,
    ledger_json_out: Path,
    book_out: Path,
) -> None:
    """Make the tables, and all that stands beside them, from the evaluated cells."""
    read = ResultReader().read
    params = params_of_pages(budget, cells=cells, read=read)
    check_folders(
        tables_out=tables_out,
        figures_out=figures_out,
        studies_out=studies_out,
        views_out=views_out,
        cards_out=cards_out,
    )
    with without_collection():  # the drawings too: looking for garbage in them is a tenth of this stage
        from stages.audit_paper.rules import findings
        from stages.book.networks import read_networks
        from stages.book.page import book
        from stages.paper.reading import read_paper
        from stages.report.claims import judge_claims
        from stages.report.evidence import gather
        from stages.report.ledger import ledger, ledger_csv, ledger_json
        from stages.report.pages import all_files
        from stages.report.tables import summary_line

        started = Attempts.read(attempts) if attempts else None
        evidence = gather(params, budget or params.budget, cells, read_paper(), started, read)
        networks = read_networks(architectures, evidence.budget_name)
        if not evidence.has_results:
            budget = evidence.budget_name
            raise StageError(f"{cells} has no result of budget {budget} yet, so there are no tables; run dvc repro")
        folders = all_files(evidence, tables_out, figures_out, studies_out, views_out, cards_out)
        numbers = ledger(evidence)
        files = {
            ledger_out: ledger_csv(numbers),
            ledger_json_out: ledger_json(evidence.budget_name, numbers),
            book_out: book(evidence, judge_claims(evidence), findings(evidence.paper, params), networks),
        }
    with exclusive(tables_out):
        rebuild(folders, files)
    for number in params.shown_tables:
        say(summary_line(evidence, number))
    say(f"the book, to open in a browser: {book_out}")
    say(f"tables, budget {evidence.budget_name}: {tables_out / 'tables.md'}")


if __name__ == "__main__":
    main()
