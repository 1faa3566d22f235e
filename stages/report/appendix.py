"""The appendix: classification reports and training logs in the form of the paper's Figs. 6-17, and the matrices."""

from itertools import accumulate
from typing import Any

from stages.config.schema import Figures
from stages.evaluate.report import report_text
from stages.records.evaluation import Evaluation
from stages.report.captions import budget_sentence, replaced_sentence
from stages.report.conditions import conditions
from stages.report.evidence import Evidence
from stages.report.gallery import confusion_name
from stages.report.logs import Log, LogLine, log_text, printed_log
from stages.report.render import RenderedText, markdown


def appendix_page(evidence: Evidence, figures: str) -> RenderedText:
    """The whole appendix. `figures` is the way to the figures' folder."""
    sections = [_section(evidence, figure) for figure in evidence.params.figures]
    budget = {"name": evidence.budget_name, "caption": evidence.budget.caption}
    return markdown("appendix", budget=budget, sections=sections, figures=figures)


def training_log(result: Evaluation) -> Log:
    """A result's history as the paper's log. An epoch's time counts its evaluations, as the paper's does."""
    minutes = [seconds / 60 for seconds in accumulate(epoch.seconds for epoch in result.run.times.epochs)]
    lines = [
        LogLine(100 * epoch.train_sample_accuracy, 100 * epoch.validation_accuracy, elapsed)
        for epoch, elapsed in zip(result.history, minutes, strict=True)
    ]
    return Log(result.run.counts.steps_per_epoch, result.run.config.epochs, lines, result.percent)


def _section(evidence: Evidence, figure: Figures) -> dict[str, Any]:
    """What the template prints of a cell; `result` is None where it has not run."""
    result = evidence.cell(figure.dataset, figure.cell).first
    table, row = evidence.place(figure.dataset, figure.cell)
    section = {
        "figure": figure,
        "result": result,
        "title": evidence.dataset(figure.dataset).title,
        "table": table,
        "row": row,
        **_printed(evidence, figure),
    }
    if result is None:
        return section
    found = conditions(evidence, figure.dataset, [figure.cell])
    return {
        **section,
        "conditions": " ".join(filter(None, [budget_sentence(evidence, found), replaced_sentence(found)])),
        "report": report_text(result.report, result.classes).rstrip(),
        "log": log_text(training_log(result)).rstrip(),
        "confusion": confusion_name(evidence, figure),
    }


def _printed(evidence: Evidence, figure: Figures) -> dict[str, Any]:
    """What the paper prints; None where it prints none."""
    report = evidence.paper.report(figure.report) if figure.report else None
    classes = [line.label for line in report.classes] if report else []
    log = printed_log(evidence.paper.log(figure.log)) if figure.log else None
    return {
        "printed_report": report and report_text(report.output_dict(), classes).rstrip(),
        "printed_log": log and log_text(log).rstrip(),
        "printed_steps": log and log.steps,
    }
