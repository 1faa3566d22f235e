"""What stands over a table: enough that nobody takes a quick run's numbers for the paper's conditions."""

from stages.config.params import Table
from stages.report.conditions import Conditions, conditions
from stages.report.evidence import Evidence
from stages.report.formats import listed
from stages.report.markdown import escape
from stages.report.verdicts import interval_sentence, verdict_sentence

NOT_AS_PAPER = "These are not the paper's conditions, so difference and verdict do not judge the paper."


def table_caption(evidence: Evidence, number: Table) -> str:
    """A table's caption: what was trained on what, under which budget, with which images, epochs and seeds."""
    table, cells = evidence.params.tables[number], evidence.table_cells(number)
    augmented = any(evidence.params.find(f"{table.dataset}/{cell}")[1].augment for cell in cells)
    found = conditions(evidence, table.dataset, cells)
    sentences = [
        f"**Table {number}. {escape(table.caption)}.** Test accuracy in percent.",
        budget_sentence(evidence, found),
        _copies(found) if augmented else "",
        seeds_sentence(evidence.params.seeds),
        interval_sentence(evidence),
        replaced_sentence(found),
        verdict_sentence(evidence, number) if found.as_paper else f"**{NOT_AS_PAPER}**",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def budget_sentence(evidence: Evidence, found: Conditions) -> str:
    """The budget's name and caption, training images, epochs and test images."""
    return f"Budget `{evidence.budget_name}` ({escape(evidence.budget.caption)}): {', '.join(found.sizes())}."


def _copies(found: Conditions) -> str:
    return (
        "Rows with data augmentation train on a transformed copy of each training image on top: "
        f"{2 * found.images} images."
    )


def seeds_sentence(seeds: list[int]) -> str:
    """Which seeds, how many, and what that means for the standard deviation."""
    if len(seeds) == 1:
        return f"Seed {seeds[0]} alone, n = 1: there is no standard deviation."
    return f"Mean and sample standard deviation over n = {len(seeds)} seeds ({listed([str(seed) for seed in seeds])})."


def replaced_sentence(found: Conditions) -> str:
    """The settings of the cells that the budget replaces."""
    return f"The budget replaces settings: {listed(list(found.replaced))}." if found.replaced else ""
