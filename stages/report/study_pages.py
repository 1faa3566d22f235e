"""A study's report as markdown: the question, what was compared with what, and what the comparison can decide."""

from stages.report.captions import budget_sentence, numerics_sentence, replaced_sentence, seeds_sentence
from stages.report.evidence import Evidence
from stages.report.formats import listed
from stages.report.markdown import code, document, escape, folded, table
from stages.report.studies import CANDIDATE_COLUMNS, Comparison, candidate_rows, curve_rows


def study_page(evidence: Evidence, comparison: Comparison) -> str:
    """The report of one study."""
    return document(
        f"# Study {code(comparison.name)}",
        f"**Question.** {escape(comparison.study.question)}",
        _assumption(evidence, comparison),
        f"**Held against.** {held_against(evidence, comparison)}",
        f"**Run.** {run_sentences(evidence, comparison)}",
        _warning(evidence, comparison),
        f"**Result.** {comparison.verdict}",
        table(CANDIDATE_COLUMNS, candidate_rows(evidence, comparison), numbers=range(2, len(CANDIDATE_COLUMNS))),
        _curves(comparison),
        _not_run(comparison),
        _provenance(comparison),
    )


def _assumption(evidence: Evidence, comparison: Comparison) -> str:
    found = next(line for line in evidence.params.assumptions if line.id == comparison.study.assumption)
    point, assumption, reason = (escape(text) for text in (found.point, found.assumption, found.reason))
    return f"**Assumption {found.id}.** On *{point}*: {assumption}. Why: {reason}."


def held_against(evidence: Evidence, comparison: Comparison) -> str:
    """What a study is held against, and how its distances are taken, as markdown."""
    printed = comparison.study.printed
    row = f'Table {printed.table}, "{escape(printed.row)}"'
    accuracy = evidence.paper.accuracy(printed.table, printed.row)
    if not comparison.compared:
        return (
            f"The printed test accuracy of {row}: {accuracy} %. Distance: absolute difference, in points, of the "
            "validation accuracy after each cell's last epoch, since test accuracy decides nothing."
        )
    epochs = "epoch 1" if comparison.compared == 1 else f"epochs 1 to {comparison.compared}"
    behind = f" ({row}: {accuracy} %)" if accuracy else ""
    return (
        f"The validation accuracy printed in the log of Fig. {printed.log}{behind}. "
        f"Distance: mean absolute difference in points over {epochs}, which the log and every cell here have."
    )


def run_sentences(evidence: Evidence, comparison: Comparison) -> str:
    """Under which budget, with which seeds and replaced settings a study was run, as markdown."""
    found = comparison.conditions
    cells = [candidate.results for candidate in comparison.candidates]
    sentences = [
        budget_sentence(evidence, found),
        seeds_sentence(cells),
        replaced_sentence(found),
        numerics_sentence([(candidate.name, candidate.results) for candidate in comparison.candidates]),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _warning(evidence: Evidence, comparison: Comparison) -> str:
    if comparison.conditions.as_paper:
        return ""
    return (
        f"> **This run cannot decide the assumption.** Budget `{evidence.budget_name}` does not train under the "
        "paper's conditions (see above); what comes closest here need not come closest there."
    )


def _curves(comparison: Comparison) -> str:
    if not comparison.compared:
        return ""
    header = ["epoch", "printed", *(code(candidate.name) for candidate in comparison.candidates)]
    curves = table(header, curve_rows(comparison), numbers=range(len(header)))
    return f"Validation accuracy in percent after each epoch:\n\n{curves}"


def _not_run(comparison: Comparison) -> str:
    if not comparison.not_run:
        return ""
    names = listed([code(cell) for cell in comparison.not_run])
    return f"Not run: {names} (the tables' cells and what `study_cells` in params.yaml names are run)."


def _provenance(comparison: Comparison) -> str:
    rows = []
    for candidate in comparison.candidates:
        for result in candidate.results.results:
            stages = [code(result.stage), code(result.run.stage)]
            run = code(result.mlflow_run) if result.mlflow_run else "not mirrored"
            rows.append([code(candidate.name), str(result.seed), *stages, run])
    header = ["cell", "seed", "evaluate stage", "train stage", "MLflow run"]
    return folded("Stages and MLflow runs", table(header, rows, numbers=[1]))
