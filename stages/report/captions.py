"""What stands over a table: enough that nobody takes a quick run's numbers for the paper's conditions."""

from collections.abc import Iterable, Sequence

from stages.config.schema import PAPER_TABLES, Table
from stages.records.copies import COPIES, reads_copies
from stages.report.conditions import Conditions, conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import listed
from stages.report.markdown import escape
from stages.report.rows import lines, table_rows
from stages.stats.intervals import FEWEST_SEEDS

NOT_AS_PAPER = "These are not the paper's conditions, so difference and verdict do not judge the paper."
_SEEDS = {1: "one seed", 2: "two seeds", FEWEST_SEEDS: "more seeds"}
_INTERVALS = {
    1: "Wilson's, for other test images; how far another seed would move it is unknown",
    2: "none, since two seeds do not tell how seeds spread",
    FEWEST_SEEDS: "Student's t over the seeds",
}


def table_caption(evidence: Evidence, number: Table) -> str:
    """A table's caption: what was trained on what, under which budget, with which images, epochs and seeds."""
    table, rows = evidence.params.tables[number], lines(table_rows(evidence, number))
    cells = [row.results for row in rows]
    found = conditions(evidence, table.dataset, evidence.table_cells(number))
    sentences = [
        f"**Table {number}. {escape(table.caption)}.** Test accuracy in percent.",
        done_sentence(cells),
        budget_sentence(evidence, found),
        _augmented(evidence, number, found),
        seeds_sentence(cells),
        interval_sentence(evidence, cells),
        replaced_sentence(found),
        *differences_sentences([(row.row, row.results) for row in rows]),
        *_judgement(evidence, number, found),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _judgement(evidence: Evidence, number: Table, found: Conditions) -> list[str]:
    """By what the numbers are judged, or why they are not."""
    if number not in PAPER_TABLES:
        return ["The paper has no such table, so nothing is held against these numbers."]
    return [verdict_sentence(evidence, number) if found.as_paper else f"**{NOT_AS_PAPER}**"]


def done_count(cells: Iterable[CellResults]) -> str:
    """How many of the planned trainings have a result, as `3 of 8`; empty where all have."""
    counts = [(len(cell.results), len(cell.planned)) for cell in cells]
    done, planned = sum(done for done, _ in counts), sum(planned for _, planned in counts)
    return "" if done == planned else f"{done} of {planned}"


def done_sentence(cells: Iterable[CellResults]) -> str:
    """`done_count` as a sentence, with what is not counted in it and what is; empty where all are done."""
    counted = list(cells)
    done = done_count(counted)
    return f"**{done} planned trainings are done.**{_counted_words(counted)}" if done else ""


def _counted_words(cells: Sequence[CellResults]) -> str:
    """How many cells are not planned, and what a training is, where the trainings are not as many as the cells."""
    unplanned = sum(not (cell.planned or cell.results) for cell in cells)
    said = f" {unplanned} of {len(cells)} cells are not planned." if unplanned else ""
    several = any(len(cell.planned) > 1 for cell in cells)
    return said + (" A training is one seed of one cell." if several or unplanned else "")


def budget_sentence(evidence: Evidence, found: Conditions) -> str:
    """The budget's name and caption, training images, epochs and test images."""
    return f"Budget `{evidence.budget_name}` ({escape(evidence.budget.caption)}): {', '.join(found.sizes())}."


def _augmented(evidence: Evidence, number: Table, found: Conditions) -> str:
    """What rows with data augmentation train on."""
    dataset = evidence.params.tables[number].dataset
    kinds = {evidence.params.find(f"{dataset}/{cell}")[1].augment for cell in evidence.table_cells(number)}
    ways = {
        "append": f"a transformed copy of each training image on top: {found.counted(2)} images",
        "fresh": f"images that are transformed anew in each epoch: {found.counted()} images",
    }
    said = [way for kind, way in ways.items() if kind in kinds]
    return f"Rows with data augmentation train on {listed(said, 'or')}." if said else ""


def seeds_sentence(cells: Sequence[CellResults]) -> str:
    """Which seeds, how many, and what that means for the standard deviation; empty where nothing was run."""
    seeds = {tuple(cell.seeds) for cell in cells if cell.has_run}
    if not seeds:
        return ""
    if len(seeds) > 1:
        return "Mean and sample standard deviation over the n seeds of each row; one seed alone has no deviation."
    (shared,) = seeds
    if len(shared) == 1:
        return f"Seed {shared[0]} alone, n = 1: there is no standard deviation."
    named = listed([str(seed) for seed in shared])
    return f"Mean and sample standard deviation over n = {len(shared)} seeds ({named})."


def replaced_sentence(found: Conditions) -> str:
    """The settings of the cells that the budget replaces."""
    return f"The budget replaces settings: {listed(list(found.replaced))}." if found.replaced else ""


def differences_sentences(labelled: Sequence[tuple[str, CellResults]]) -> list[str]:
    """In what the trainings differ beside their settings; empty sentences where they do not."""
    return [numerics_sentence(labelled), copies_sentence(labelled)]


def numerics_sentence(labelled: Sequence[tuple[str, CellResults]]) -> str:
    """Which rows were trained on which device and in which number format; empty where all are alike."""
    rows: dict[str, list[str]] = {}
    for label, cell in labelled:
        numerics = [result.run.numerics for result in cell.results]
        for kind in dict.fromkeys(f"{found.device}, {found.precision}" for found in numerics):
            rows.setdefault(kind, []).append(label)
    if len(rows) < 2:
        return ""
    where = "; ".join(f"{kind} ({escape('; '.join(labels))})" for kind, labels in sorted(rows.items()))
    return f"**The trainings differ in device or number format**: {where}."


def copies_sentence(labelled: Sequence[tuple[str, CellResults]]) -> str:
    """Which rows had augmented copies with other bytes in some seeds than in others; empty where none had."""
    rows = [
        label
        for label, cell in labelled
        if len({result.run.data.sha256[COPIES] for result in cell.results if reads_copies(result.run)}) > 1
    ]
    if not rows:
        return ""
    return f"The augmented copies of some seeds have other bytes than those of others ({escape('; '.join(rows))})."


def interval_title(evidence: Evidence) -> str:
    """What the column is called."""
    return f"{100 * evidence.params.verdicts.confidence:g} % interval"


def interval_sentence(evidence: Evidence, cells: Sequence[CellResults]) -> str:
    """Which intervals stand beside the numbers of these cells, by how many seeds they have; empty for no number."""
    kinds = {min(len(cell.results), FEWEST_SEEDS) for cell in cells if cell.has_run}
    if not kinds:
        return ""
    said = [(f"with {_SEEDS[kind]}, " if len(kinds) > 1 else "") + _INTERVALS[kind] for kind in sorted(kinds)]
    return f"{interval_title(evidence)}: {'; '.join(said)}."


def verdict_sentence(evidence: Evidence, number: Table) -> str:
    """By which tolerances the table's verdicts are given, for its caption."""
    dataset, verdicts = evidence.params.tables[number].dataset, evidence.params.verdicts
    close, near = verdicts.close.of(dataset), verdicts.near.of(dataset)
    return f"Verdict: *close* within {close:g} points of what the paper prints, *near* within {near:g}, else *far*."
