"""The appendix: classification reports and training logs in the form of the paper's Figs. 6-17, and the matrices."""

from itertools import accumulate

from stages.config.schema import Figures
from stages.evaluate.report import report_text
from stages.records.evaluation import Evaluation
from stages.records.run import DIVERGED, FINISHED
from stages.report.captions import budget_sentence, replaced_sentence
from stages.report.conditions import conditions
from stages.report.evidence import Evidence
from stages.report.gallery import confusion_name
from stages.report.logs import Log, LogLine, log_text, printed_log
from stages.report.markdown import block, code, document, escape, folded


def appendix_page(evidence: Evidence, figures: str) -> str:
    """The whole appendix. `figures` is the way to the figures' folder."""
    introduction = (
        f"Budget `{evidence.budget_name}` ({escape(evidence.budget.caption)}). "
        "Each section stands for the paper's figures of one family on one data set, and shows the lowest seed that has "
        "a result; what the paper prints is folded below ours."
    )
    sections = [_section(evidence, figure, figures) for figure in evidence.params.figures]
    return document("# Appendix: reports, logs and confusion matrices", introduction, *sections)


def training_log(result: Evaluation) -> Log:
    """A result's history as the paper's log. An epoch's time counts its evaluations, as the paper's does."""
    minutes = [seconds / 60 for seconds in accumulate(epoch.seconds for epoch in result.run.times.epochs)]
    lines = [
        LogLine(100 * epoch.train_sample_accuracy, 100 * epoch.validation_accuracy, elapsed)
        for epoch, elapsed in zip(result.history, minutes, strict=True)
    ]
    return Log(result.run.counts.steps_per_epoch, result.run.config.epochs, lines, result.percent)


def _section(evidence: Evidence, figure: Figures, figures: str) -> str:
    result = evidence.cell(figure.dataset, figure.cell).first
    if result is None:
        return document(_heading(evidence, figure), "Not run.", *_printed(evidence, figure))
    name = confusion_name(evidence, figure)
    return document(
        _heading(evidence, figure),
        _description(evidence, figure, result),
        *_report_part(evidence, figure, result),
        *_log_part(evidence, figure, result),
        f"![Confusion matrix, as Fig. {figure.confusion}]({figures}/{name})",
        f"Confusion matrix, as the paper's Fig. {escape(figure.confusion)} (there only a picture).",
    )


def _heading(evidence: Evidence, figure: Figures) -> str:
    number, row = evidence.place(figure.dataset, figure.cell)
    numbers = [shown for shown in (figure.report, figure.log, figure.confusion) if shown]
    title = evidence.dataset(figure.dataset).title
    return f"## {escape(title)}, {escape(row)} (Table {number}): Figs. {escape(', '.join(numbers))}"


def _description(evidence: Evidence, figure: Figures, result: Evaluation) -> str:
    found = conditions(evidence, figure.dataset, [figure.cell])
    run = code(result.mlflow_run) if result.mlflow_run else "not mirrored"
    made_by = f"Seed {result.seed}, made by {code(result.stage)}, MLflow run {run}."
    return " ".join(filter(None, [budget_sentence(evidence, found), replaced_sentence(found), made_by]))


def _report_part(evidence: Evidence, figure: Figures, result: Evaluation) -> list[str]:
    ours = block(report_text(result.report, result.classes))
    caption = f"Classification report on {result.test_images} test images"
    if result.outcome != FINISHED:
        caption += f", **{result.outcome}**"
    if not figure.report:
        return [ours, f"{caption}."]
    return [ours, f"{caption}, as the paper's Fig. {figure.report}.", _printed_report(evidence, figure.report)]


def _log_part(evidence: Evidence, figure: Figures, result: Evaluation) -> list[str]:
    log = training_log(result)
    ours = block(log_text(log))
    sample = result.run.counts.sample
    caption = f"Training log, {log.steps} steps an epoch (Train: accuracy on {sample} training images)"
    if result.outcome == DIVERGED:
        caption += ", **diverged**"
    if not figure.log:
        return [ours, f"{caption}."]
    return [ours, f"{caption}, as the paper's Fig. {figure.log}.", _printed_log(evidence, figure.log)]


def _printed(evidence: Evidence, figure: Figures) -> list[str]:
    """What the paper prints, folded."""
    report = [_printed_report(evidence, figure.report)] if figure.report else []
    return report + ([_printed_log(evidence, figure.log)] if figure.log else [])


def _printed_report(evidence: Evidence, figure: str) -> str:
    paper = evidence.paper.report(figure)
    printed = block(report_text(paper.output_dict(), [line.label for line in paper.classes]))
    return folded(f"What the paper prints in Fig. {figure}", printed)


def _printed_log(evidence: Evidence, figure: str) -> str:
    paper = printed_log(evidence.paper.log(figure))
    summary = f"What the paper prints in Fig. {figure} ({paper.steps} steps an epoch)"
    return folded(summary, block(log_text(paper)))
