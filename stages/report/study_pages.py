"""A study's report as markdown: the question, what was compared with what, and what the comparison can decide."""

from itertools import zip_longest

from stages.report.captions import (
    budget_sentence,
    differences_sentences,
    replaced_sentence,
    seeds_sentence,
)
from stages.report.evidence import Evidence
from stages.report.formats import decimals
from stages.report.markdown import escape
from stages.report.render import RenderedText, markdown
from stages.report.studies import Comparison


def study_page(evidence: Evidence, comparison: Comparison) -> RenderedText:
    """The report of one study."""
    curves = [comparison.printed, *(candidate.results.curve for candidate in comparison.candidates)]
    return markdown(
        "study",
        study=comparison,
        budget=evidence.budget_name,
        assumption=next(line for line in evidence.params.assumptions if line.id == comparison.study.assumption),
        held_against=held_against(evidence, comparison),
        run_sentences=run_sentences(evidence, comparison),
        decimals=decimals(evidence.test_images(comparison.study.dataset)),
        curves=list(zip_longest(*curves)),
    )


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
        "Cells with fewer epochs say so in the table."
        if len({one.epochs for one in comparison.candidates}) > 1
        else "",
        seeds_sentence(cells),
        replaced_sentence(found),
        *differences_sentences([(candidate.name, candidate.results) for candidate in comparison.candidates]),
    ]
    return " ".join(sentence for sentence in sentences if sentence)
