"""`tables.md`: all six tables, the assumption ledger, the studies, and the way to everything else."""

from stages.config.schema import DATASETS, Assumption, Table
from stages.report.captions import done_sentence
from stages.report.evidence import Evidence
from stages.report.markdown import code, document, escape, table
from stages.report.printed_curves import NAME, printed_panels
from stages.report.studies import Comparison
from stages.report.tables import table_body, table_index


def overview_page(evidence: Evidence, comparisons: list[Comparison], figures: str, studies: str) -> str:
    """The whole page. `figures` and `studies` are the ways to their folders."""
    numbers = list(evidence.params.tables)
    return document(
        f"# Tables {numbers[0]} to {numbers[-1]}, budget `{evidence.budget_name}`",
        "Made by `aggregate-tables` from the evaluated cells. *paper* is the accuracy that the paper prints, "
        "*ours* the one that this pipeline came to, *difference* is ours less the paper's, in points. A training that "
        "diverged or came out at chance is a result too: counted in, marked, and explained below its table.",
        done_sentence(evidence.cells.values()),
        *(_table_part(evidence, number) for number in numbers),
        "## Assumptions",
        "What the paper leaves out, what stands in for it here, and where to change it.",
        ledger(evidence, comparisons, studies),
        "## Studies",
        study_list(evidence, comparisons, studies),
        f"![The curves that the paper prints, and ours]({figures}/{NAME})" if printed_panels(evidence) else "",
        "## More",
        "- [Claims](claims.md): what the paper says in words, C1 to C7, tested with these numbers",
        "- [Appendix](appendix.md): classification reports, training logs and confusion matrices, as the paper's "
        "Figs. 6-23",
        *(_samples(dataset, evidence) for dataset in DATASETS),
    )


def _samples(dataset: str, evidence: Evidence) -> str:
    """The way to a data set's sample sheets."""
    title = evidence.params.datasets.of(dataset).title
    sheets = f"../samples/{dataset}"
    links = f"[plain]({sheets}/plain.png), [augmented]({sheets}/augmented.png)"
    return f"- {title}, samples as in the paper's Figs. 1-2: {links}"


def _table_part(evidence: Evidence, number: Table) -> str:
    index = table_index(number)
    name = escape(evidence.params.tables[number].caption)
    links = f"[Stages, MLflow runs and curves](table_{index}.md), [CSV](table_{index}.csv)"
    return document(f"## Table {number}: {name}", table_body(evidence, number), links)


def ledger(evidence: Evidence, comparisons: list[Comparison], studies: str) -> str:
    """The assumption ledger as a table."""
    header = ["id", "what the paper leaves open", "assumption", "reason", "to change it", "studies"]
    rows = [
        [*_plain(assumption), _studies_of(evidence, assumption, comparisons, studies)]
        for assumption in evidence.params.assumptions
    ]
    return table(header, rows)


def _plain(assumption: Assumption) -> list[str]:
    texts = (assumption.id, assumption.point, assumption.assumption, assumption.reason, assumption.change)
    return [escape(text) for text in texts]


def _studies_of(evidence: Evidence, assumption: Assumption, comparisons: list[Comparison], studies: str) -> str:
    ran = {comparison.name for comparison in comparisons}
    return ", ".join(
        f"[{code(name)}]({studies}/{name}.md)" if name in ran else f"{code(name)} (not run)"
        for name, study in evidence.params.studies.items()
        if study.assumption == assumption.id
    )


def study_list(evidence: Evidence, comparisons: list[Comparison], studies: str) -> str:
    """Every study of params.yaml with its result, or that it was not run."""
    if not evidence.params.studies:
        return "None."
    by_name = {comparison.name: comparison for comparison in comparisons}
    rows = []
    for name, study in evidence.params.studies.items():
        comparison = by_name.get(name)
        shown = f"[{code(name)}]({studies}/{name}.md)" if comparison else code(name)
        rows.append([shown, escape(study.question), study.assumption, _result(comparison)])
    return table(["study", "question", "assumption", "result"], rows)


def _result(comparison: Comparison | None) -> str:
    if comparison is None:
        return "not run"
    doubt = "" if comparison.conditions.as_paper else " Not the paper's conditions, so this decides nothing."
    return comparison.verdict + doubt
