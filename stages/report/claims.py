"""The paper's claims C1 to C7 held against the results: which trainings are compared, and what is asked of them.

Cells are found by their settings: two that differ in depth alone, or in augmentation alone, and so on, so that a row
that a user adds is compared too. The thresholds are `claims` in params.yaml.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from statistics import median
from typing import NamedTuple

from stages.config.cells import changed_settings
from stages.config.schema import DATASETS
from stages.config.settings import OPTIMIZERS, Cell
from stages.core.errors import StageError
from stages.records.evaluation import Evaluation
from stages.records.planned import NOT_RUN
from stages.report.conditions import conditions
from stages.report.evidence import CellResults, Evidence
from stages.report.formats import MINUS, listed
from stages.stats.bounds import Bounded, above, below, f1, f1_above, faster, gap_below, within, worst_case
from stages.stats.claims import Check, ClaimResult, Part
from stages.stats.intervals import FEWEST_SEEDS
from stages.stats.paired import mcnemar, sign_flip

_OPTIMIZER = {name for optimizer in OPTIMIZERS.values() for name in optimizer.model_fields}
_OF_DATASET = {"batch_size", "input_size"}  # those that the paper chooses anew for each data set
_UNLEARNED = "not judged, since nothing was learned"
_NO_IMAGE = "no image is of this class or named so"
_NOWHERE = "no machine has trained both"
_NO_COMMON_SEED = "no seed in common"


class Machine(NamedTuple):
    """What two trainings must share for their times to be compared."""

    processor: str
    cores: int | None
    device: str
    precision: str
    threads: int


def judge_claims(evidence: Evidence) -> list[ClaimResult]:
    """What the results say of each claim, in the order C1 to C7."""
    claims = (_depth, _optimizer, _augmentation, _overfitting, _datasets, _classes, _cost)
    return [judge(evidence) for judge in claims]


def under_paper_conditions(evidence: Evidence) -> bool:
    """Whether every table's cells were trained as the paper says, so that the results can judge it."""
    tables = evidence.params.paper_tables
    return all(conditions(evidence, tables[number].dataset, evidence.table_cells(number)).as_paper for number in tables)


def _depth(evidence: Evidence) -> ClaimResult:
    checks = []
    for one, other in _pairs(evidence, {"depth"}):
        if _depth_of(evidence, one) < _depth_of(evidence, other):
            margin = evidence.params.claims.depth.margin.of(one.key.dataset)
            checks.append(_compared(evidence, one, other, f"within ±{margin:g}", within, margin))
    part = Part(
        "VGG's depth (11, 16 or 19 layers) makes little difference on either data set.",
        "Every two cells that differ in depth alone: the mean difference of their test accuracies lies within the "
        "margin (two one-sided t-tests over the seeds).",
        "all",
        evidence.params.claims.level,
        tuple(checks),
    )
    return ClaimResult("C1", part.sentence, (part,))


def _depth_of(evidence: Evidence, cell: CellResults) -> int:
    return getattr(_settings(evidence, cell), "depth", 0)


def _optimizer(evidence: Evidence) -> ClaimResult:
    return ClaimResult(
        "C2",
        "Adam is the easy choice; SGD sometimes wins.",
        (_adam_is_safe(evidence), _sgd_sometimes_wins(evidence)),
    )


def _adam_is_safe(evidence: Evidence) -> Part:
    checks = []
    for adam, other in _against_adam(evidence):
        margin = evidence.params.claims.optimizer.margin.of(adam.key.dataset)
        checks.append(_compared(evidence, adam, other, f"above {MINUS}{margin:g}", above, -margin))
    return Part(
        "Adam is never far below another optimizer.",
        "Adam less every other optimizer of the same network and data: the mean difference of their test accuracies "
        "is above minus the margin (t-test over the seeds).",
        "all",
        evidence.params.claims.level,
        tuple(checks),
    )


def _sgd_sometimes_wins(evidence: Evidence) -> Part:
    checks = [
        _compared(evidence, other, adam, "above 0", above, 0.0)
        for adam, other in _against_adam(evidence)
        if _settings(evidence, other).optimizer == "sgd"
    ]
    return Part(
        "SGD, with momentum or without, sometimes beats Adam.",
        "SGD less Adam, same network and data: for at least one pair the mean difference of their test accuracies is "
        "above 0 (t-test over the seeds).",
        "any",
        evidence.params.claims.level,
        tuple(checks),
    )


def _against_adam(evidence: Evidence) -> Iterator[tuple[CellResults, CellResults]]:
    """Adam's cells, each with every cell of another optimizer that is otherwise the same."""
    for one, other in _pairs(evidence, _OPTIMIZER):
        if _settings(evidence, one).optimizer == "adam" != _settings(evidence, other).optimizer:
            yield one, other


def _augmentation(evidence: Evidence) -> ClaimResult:
    checks = []
    for one, other in _pairs(evidence, {"augment"}):
        if _settings(evidence, one).augment != "none" and _settings(evidence, other).augment == "none":
            margin = evidence.params.claims.augmentation.margin.of(one.key.dataset)
            checks.append(_compared(evidence, one, other, f"below {margin:g}", below, margin))
    part = Part(
        f"Data augmentation brings little in {evidence.paper.epochs} epochs.",
        "Every cell with augmentation less the one that differs in it alone: the mean gain in test accuracy is below "
        "the margin (t-test over the seeds). A loss is no gain, so it bears the claim out.",
        "all",
        evidence.params.claims.level,
        tuple(checks),
    )
    return ClaimResult("C3", part.sentence, (part,))


def _overfitting(evidence: Evidence) -> ClaimResult:
    claim = evidence.params.claims.overfitting
    cells = [cell for cell in table_cells(evidence) if _settings(evidence, cell).family in claim.families]
    part = Part(
        f"There is no overfitting (families {listed([*claim.families])}).",
        "Every cell of these families: accuracy on the sampled training images less that on the validation images, "
        "after the last epoch, is on average below the margin (t-test over the seeds). With fewer than "
        f"{FEWEST_SEEDS} seeds one training with a larger gap, by its images (Agresti and Caffo's test), refutes it.",
        "all",
        evidence.params.claims.level,
        tuple(_gap(evidence, cell, claim.gap.of(cell.key.dataset)) for cell in cells),
    )
    return ClaimResult("C4", part.sentence, (part,))


def _gap(evidence: Evidence, cell: CellResults, margin: float) -> Check:
    """How much better a cell does on training images than on validation images, in points."""
    level, name, asks = evidence.params.claims.level, _label(evidence, cell), f"below {margin:g}"
    if not cell.has_run:
        return _lacking(evidence, name, asks, "points", cell)
    if len(cell.results) < FEWEST_SEEDS:
        found = worst_case([_gap_of_images(result, margin, level) for result in cell.results])
    else:
        found = below([_gap_of(result) for result in cell.results], margin, level)
    return _judged(Check(name, asks, "points", found, seeds=len(cell.results)), cell)


def _gap_of(result: Evaluation) -> float:
    last = result.history[-1]
    return 100 * (last.train_sample_accuracy - last.validation_accuracy)


def _gap_of_images(result: Evaluation, margin: float, level: float) -> Bounded:
    last, counts = result.history[-1], result.run.counts
    training = (round(last.train_sample_accuracy * counts.sample), counts.sample)
    validation = (round(last.validation_accuracy * counts.validation), counts.validation)
    return gap_below(training, validation, margin / 100, level).scaled(100)


def _datasets(evidence: Evidence) -> ClaimResult:
    checks = [
        _compared(evidence, one, other, "above 0", above, 0.0)
        for one in table_cells(evidence, "mnist")
        for other in table_cells(evidence, "cifar10")
        if _differ(evidence, one, other) <= _OF_DATASET
    ]
    part = Part(
        "MNIST is easier than CIFAR10 for every model.",
        "Every two cells that differ in the data set alone (and in the batch and input size that go with it): the mean "
        "test accuracy on MNIST less that on CIFAR10 is above 0 (t-test over the seeds).",
        "all",
        evidence.params.claims.level,
        tuple(checks),
    )
    return ClaimResult("C5", part.sentence, (part,))


def _classes(evidence: Evidence) -> ClaimResult:
    return ClaimResult(
        "C6",
        "The best networks know nearly every class of CIFAR10 well, with precision above recall, and all of MNIST.",
        (_f1(evidence, "cifar10"), _precision(evidence, "cifar10"), _f1(evidence, "mnist")),
    )


def _f1(evidence: Evidence, dataset: str) -> Part:
    claim = evidence.params.claims.classes
    bound, excepted = 100 * claim.f1.of(dataset), claim.excepted.of(dataset)
    title, classes = evidence.dataset(dataset).title, evidence.dataset(dataset).classes
    checks = [
        _class_f1(evidence, cell, place, bound)
        for cell in _reported(evidence, dataset)
        for place, name in enumerate(classes)
        if name not in excepted
    ]
    return Part(
        f"On {title} every class{f' but {listed(excepted)}' if excepted else ''} has an F1 above {bound:g} %.",
        "Each class of each network whose report the paper prints: the mean F1 is above the bound (t-test over the "
        f"seeds). With fewer than {FEWEST_SEEDS} seeds one network whose F1 is below it, by its images (exact binomial "
        "test), refutes it.",
        "all",
        evidence.params.claims.level,
        tuple(checks),
    )


def _class_f1(evidence: Evidence, cell: CellResults, place: int, bound: float) -> Check:
    level, asks = evidence.params.claims.level, f"above {bound:g}"
    name = f"{evidence.dataset(cell.key.dataset).classes[place]}: {_label(evidence, cell)}"
    if not cell.has_run:
        return _lacking(evidence, name, asks, "%", cell)
    counts = [_hits_and_wrong(result, place) for result in cell.results]
    if (0, 0) in counts:
        found = Bounded.unknown(_NO_IMAGE)
    elif len(counts) < FEWEST_SEEDS:
        found = worst_case([f1_above(hits, wrong, bound / 100, level).scaled(100) for hits, wrong in counts])
    else:
        found = above([100 * f1(hits, wrong) for hits, wrong in counts], bound, level)
    return _judged(Check(name, asks, "%", found, seeds=len(cell.results)), cell)


def _hits_and_wrong(result: Evaluation, place: int) -> tuple[int, int]:
    hits = result.confusion[place][place]
    return hits, sum(result.confusion[place]) + sum(row[place] for row in result.confusion) - 2 * hits


def _precision(evidence: Evidence, dataset: str) -> Part:
    level = evidence.params.claims.level
    checks = []
    for cell in _reported(evidence, dataset):
        name = _label(evidence, cell)
        if not cell.has_run:
            checks.append(_lacking(evidence, name, "above 0", "points", cell))
            continue
        found = above([_precision_over_recall(result) for result in cell.results], 0.0, level)
        checks.append(_judged(Check(name, "above 0", "points", found, seeds=len(cell.results)), cell))
    return Part(
        f"On {evidence.dataset(dataset).title} precision is generally above recall.",
        "Each network whose report the paper prints: its macro-averaged precision less its macro-averaged recall is on "
        "average above 0 (t-test over the seeds).",
        "all",
        level,
        tuple(checks),
    )


def _precision_over_recall(result: Evaluation) -> float:
    """Macro-averaged precision less recall in points; a class that is never named has precision 0, as in the report."""
    differences = []
    for place, row in enumerate(result.confusion):
        hits, named = row[place], sum(line[place] for line in result.confusion)
        differences.append((hits / named if named else 0.0) - (hits / sum(row) if sum(row) else 0.0))
    return 100 * sum(differences) / len(differences)


def _cost(evidence: Evidence) -> ClaimResult:
    claims = evidence.params.claims
    cheapest = claims.cost.cheapest
    families = list(dict.fromkeys(table.family for table in evidence.params.paper_tables.values()))
    checks = [
        check
        for dataset in DATASETS
        for other in families
        if other != cheapest
        for check in _times(evidence, dataset, cheapest, other)
    ]
    part = Part(
        f"Of the families, {cheapest} is the cheapest to train.",
        f"On each data set the training seconds an image of {cheapest} against those of another family, only among "
        "trainings on the same processor and device, in the same precision and with as many threads. One value a cell, "
        "the median of its seeds (Mann and Whitney's test over the cells). The value is how many times as long the "
        "other family's median is. How many trainings ran side by side is not recorded, and on a GPU it alone changes "
        "a time up to twofold.",
        "all",
        claims.level,
        tuple(checks),
    )
    return ClaimResult("C7", part.sentence, (part,))


def _times(evidence: Evidence, dataset: str, cheapest: str, other: str) -> list[Check]:
    """A comparison for each machine that has trained both families on a data set; one that says so if none has."""
    ours, theirs = (_seconds_an_image(evidence, dataset, family) for family in (cheapest, other))
    title = evidence.dataset(dataset).title
    lacks = tuple(
        _label(evidence, cell)
        for cell in table_cells(evidence, dataset)
        if _settings(evidence, cell).family in (cheapest, other) and not cell.has_run
    )
    if ours.keys().isdisjoint(theirs):
        found = Bounded.unknown(_NOWHERE if ours and theirs else NOT_RUN)
        return [Check(f"{cheapest} against {other}, {title}", "above 1", "times", found, lacks=lacks)]
    return [
        Check(
            f"{cheapest} ({len(ours[machine])} cells) against {other} ({len(theirs[machine])}), {title}, on "
            f"{machine.processor}, {machine.device}, {machine.precision}, threads: {machine.threads}",
            "above 1",
            "times",
            faster(ours[machine], theirs[machine]),
            lacks=lacks,
        )
        for machine in ours
        if machine in theirs
    ]


def _seconds_an_image(evidence: Evidence, dataset: str, family: str) -> dict[Machine, list[float]]:
    """One value a cell: the median of its seeds on a machine."""
    seconds: dict[Machine, list[float]] = {}
    for cell in table_cells(evidence, dataset):
        if _settings(evidence, cell).family == family:
            for machine, of_seeds in _seconds_of_seeds(cell).items():
                seconds.setdefault(machine, []).append(median(of_seeds))
    return seconds


def _seconds_of_seeds(cell: CellResults) -> dict[Machine, list[float]]:
    """By machine, but for trainings that went on elsewhere after a restart: their speed is of no one machine."""
    seconds: dict[Machine, list[float]] = {}
    for run in (result.run for result in cell.results):
        if len({epoch.machine for epoch in run.times.epochs}) == 1:
            environment, numerics = run.machines[run.times.epochs[0].machine], run.numerics
            machine = Machine(
                environment.processor, environment.cores, numerics.device, numerics.precision, numerics.threads
            )
            seconds.setdefault(machine, []).append(1 / run.images_per_second)
    return seconds


def table_cells(evidence: Evidence, *datasets: str) -> list[CellResults]:
    """The cells of the paper's tables, in their order; of some data sets, or of all."""
    return [
        evidence.cell(table.dataset, row.cell)
        for table in evidence.params.paper_tables.values()
        for row in table.rows
        if table.dataset in (datasets or DATASETS)
    ]


def _reported(evidence: Evidence, dataset: str) -> list[CellResults]:
    """The cells that stand for the classification reports which the paper prints."""
    figures = evidence.params.figures
    return [evidence.cell(dataset, figure.cell) for figure in figures if figure.dataset == dataset and figure.report]


def _pairs(evidence: Evidence, settings: set[str]) -> Iterator[tuple[CellResults, CellResults]]:
    """Every two different cells of one data set that differ in these settings alone, in either order."""
    for dataset in DATASETS:
        for one, other in permutations(table_cells(evidence, dataset), 2):
            if _differ(evidence, one, other) <= settings:
                yield one, other


def _settings(evidence: Evidence, cell: CellResults) -> Cell:
    return evidence.params.find(str(cell.key))[1]


def _differ(evidence: Evidence, one: CellResults, other: CellResults) -> set[str]:
    return set(changed_settings(*(_settings(evidence, cell).model_dump() for cell in (one, other))))


def _label(evidence: Evidence, cell: CellResults) -> str:
    number, row = evidence.place(cell.key.dataset, cell.key.name)
    return f"{row} (Table {number})"


def _compared(
    evidence: Evidence,
    one: CellResults,
    other: CellResults,
    asks: str,
    test: Callable[[Sequence[float], float, float], Bounded],
    bound: float,
) -> Check:
    """One cell's test accuracy less another's, in points, over the seeds that both have."""
    name = f"{_label(evidence, one)} less {_label(evidence, other)}"
    seeds = set(one.seeds) & set(other.seeds)
    if not seeds:
        return _lacking(evidence, name, asks, "points", one, other)
    one, other = one.of_seeds(seeds), other.of_seeds(seeds)
    differences = [a.percent - b.percent for a, b in zip(one.results, other.results, strict=True)]
    check = Check(name, asks, "points", test(differences, bound, evidence.params.claims.level), seeds=len(seeds))
    return _judged(_with_exact_test(check, one, other, differences), one, other)


def _with_exact_test(check: Check, one: CellResults, other: CellResults, differences: list[float]) -> Check:
    """Beside the t-test: all sign flips over the seeds, or for one seed McNemar's test on the images that both saw."""
    if len(differences) > 1:
        flips = sign_flip(differences)
        return replace(check, paired_p=flips.p, smallest=flips.smallest) if flips else check
    if one.key.dataset != other.key.dataset:
        return check
    (first,), (second,) = one.results, other.results
    if first.labels != second.labels:
        raise StageError(f"{one.key} and {other.key} were not tested on the same images; run dvc repro")
    return replace(check, paired_p=mcnemar(first.right, second.right).p)


def _lacking(evidence: Evidence, name: str, asks: str, unit: str, *cells: CellResults) -> Check:
    """A comparison that cannot be made yet: of cells without results, or of two without a seed in common."""
    missing = tuple(_label(evidence, cell) for cell in cells if not cell.has_run)
    found = Bounded.unknown(NOT_RUN if missing else _NO_COMMON_SEED)
    return Check(name, asks, unit, found, lacks=missing or (name,))


def _judged(check: Check, *cells: CellResults) -> Check:
    """Networks of which none has learned anything do not differ, nor overfit: that says nothing of the claim."""
    if any(cell.has_learned for cell in cells):
        return check
    return replace(check, found=replace(check.found, p_for=None, p_against=None, note=_UNLEARNED))
