"""Studies: which of the settings that the paper leaves open comes closest to what it prints, and by how much.

Only validation accuracy decides. Against a printed log, a cell's distance is the mean absolute difference over the
epochs that the log and every cell of the study have, so that the distances of one study can be compared; without one,
it is the absolute difference of the last validation accuracy from the accuracy that is printed for the row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from stages.config.schema import Row, Study
from stages.core.errors import ParamError
from stages.report.conditions import Conditions, conditions
from stages.report.differences import differences_text
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import listed
from stages.report.markdown import code

_TIE = 1e-9  # points


@dataclass(frozen=True)
class Candidate:
    """A cell of a study: what it sets differently, its results, and its distance to the printed number or curve."""

    name: str
    differs: str
    epochs: int
    results: CellResults
    distance: float


@dataclass(frozen=True)
class Comparison:
    """A study's candidates, the base first, beside what the paper prints; `compared` is 0 for a single number.

    `candidates` are the cells that have results, `not_run` names the others, the base among them if it has none.
    """

    name: str
    study: Study
    candidates: list[Candidate]
    not_run: list[str]
    printed: list[float]
    compared: int
    conditions: Conditions

    @property
    def ranking(self) -> list[Candidate]:
        """The candidates, closest first."""
        return sorted(self.candidates, key=lambda candidate: candidate.distance)

    @property
    def closer_than_base(self) -> Candidate | None:
        """The closest candidate; None where the base has no result, is the closest, or is as close."""
        base = next((one for one in self.candidates if one.name == self.study.base), None)
        first = self.ranking[0]
        return first if base and base.distance - first.distance > _TIE else None

    @property
    def verdict(self) -> str:
        """Which candidate comes closest and by how much, as a sentence of markdown."""
        first, *others = self.ranking
        tied = [other for other in others if other.distance - first.distance <= _TIE]
        what = "the printed curve" if self.compared else "the printed accuracy"
        if tied:
            names = listed([_full_name(candidate) for candidate in (first, *tied)])
            return f"Equally close: {names}, {first.distance:.2f} points from {what}."
        closest = f"{_full_name(first)}, {first.distance:.2f} points from {what}."
        if not others:
            return f"The only one with a result: {closest}"
        second = others[0]
        gap = second.distance - first.distance
        return (
            f"Closest: {closest} Next: {_full_name(second)} at {second.distance:.2f}, {gap:.2f} points further."
            f"{f' Not run: {len(self.not_run)} of {len(self.not_run) + len(self.candidates)}.' if self.not_run else ''}"
        )


def compare_studies(evidence: Evidence) -> list[Comparison]:
    """The studies of which at least one alternative has a result, in the order of params.yaml."""
    compared = [compare(evidence, name, study) for name, study in evidence.params.studies.items()]
    return [comparison for comparison in compared if comparison]


@dataclass(frozen=True)
class SuggestedRow:
    """The row of a table whose setting is suggested for another row of it.

    `row` and `other` are the labels of both, `study` the study that suggests it. Where that is a study on another data
    set, the row follows it because the study's assumption is one for both.
    """

    dataset: str
    row: str
    other: str
    study: Study

    @property
    def is_studied(self) -> bool:
        """Whether the study is one on the row's own data set."""
        return self.study.dataset == self.dataset

    def study_in_words(self, evidence: Evidence) -> str:
        """The study by its data set."""
        return f"the study on {evidence.dataset(self.study.dataset).title}"


def suggested_rows(evidence: Evidence) -> dict[tuple[str, str], SuggestedRow]:
    """By data set and cell of a row without an as-logged row: the row of its table whose setting is suggested for it.

    A study under the paper's conditions suggests it, where it finds the setting of that row closer to what the paper
    prints than the setting of its base. A row whose own data set has no such comparison follows that of another data
    set, if the study's assumption applies to it.
    """
    comparisons = [found for found in compare_studies(evidence) if found.conditions.as_paper]
    suggested: dict[tuple[str, str], SuggestedRow] = {}
    for table in evidence.params.paper_tables.values():
        labels = {row.cell: row.row for row in table.rows}
        for row in table.rows:
            found = None if row.as_logged else _comparison_for(evidence, table.dataset, row, comparisons)
            if found and (closer := found.closer_than_base) and closer.name in labels:
                place = (table.dataset, row.cell)
                suggested[place] = SuggestedRow(table.dataset, row.row, labels[closer.name], found.study)
    return suggested


def _comparison_for(evidence: Evidence, dataset: str, row: Row, comparisons: Sequence[Comparison]) -> Comparison | None:
    """The first comparison whose base is a row's cell: one on its data set, else one whose assumption applies there."""
    of_cell = [found for found in comparisons if found.study.base == row.cell]
    own = [found for found in of_cell if found.study.dataset == dataset]
    settings = evidence.params.find(f"{dataset}/{row.cell}")[1]
    assumed = {one.id for one in evidence.params.assumptions if one.applies.to(dataset, settings, row.row)}
    return next(iter(own or [found for found in of_cell if found.study.assumption in assumed]), None)


def compare(evidence: Evidence, name: str, study: Study) -> Comparison | None:
    """A study's comparison, or None when none of its alternatives has a result."""
    run = [cell for cell in (study.base, *study.alternatives) if evidence.cell(study.dataset, cell).has_run]
    printed = _printed(evidence, name, study)
    if not set(run) & set(study.alternatives):
        return None
    curves = [evidence.cell(study.dataset, cell).curve for cell in run]
    compared = min(map(len, [printed, *curves])) if study.printed.log else 0
    return Comparison(
        name=name,
        study=study,
        candidates=[_candidate(evidence, study, cell, printed, compared) for cell in run],
        not_run=[cell for cell in (study.base, *study.alternatives) if cell not in run],
        printed=printed,
        compared=compared,
        conditions=conditions(evidence, study.dataset, [study.base]),
    )


def _printed(evidence: Evidence, name: str, study: Study) -> list[float]:
    """The log's validation curve, or the one accuracy of the table's row."""
    if study.printed.log:
        return [float(epoch.validation_accuracy) for epoch in evidence.paper.log(study.printed.log).epochs]
    accuracy = evidence.paper.accuracy(study.printed.table, study.printed.row)
    if accuracy is None:
        where = f"params.yaml: studies.{name}.printed.row"
        raise ParamError(where, study.printed.row, f"a row that Table {study.printed.table} of the paper prints")
    return [float(accuracy)]


def _candidate(evidence: Evidence, study: Study, cell: str, printed: list[float], compared: int) -> Candidate:
    results = evidence.cell(study.dataset, cell)
    ours = results.curve[:compared] if compared else [results.validation or 0.0]
    differs = differences_text(evidence.params, evidence.budget_name, study.dataset, study.base, cell)
    epochs = evidence.params.settings(str(results.key), evidence.budget_name).epochs
    return Candidate(cell, differs, epochs, results, distance(ours, printed))


def distance(ours: Sequence[float], printed: Sequence[float]) -> float:
    """The mean absolute difference in points, over as many values as the shorter has."""
    return fmean(abs(our - their) for our, their in zip(ours, printed, strict=False))


def _full_name(candidate: Candidate) -> str:
    return f"{code(candidate.name)} ({candidate.differs or 'the base'})"
