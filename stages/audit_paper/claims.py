"""What the prose says (data/paper/claims.csv) against tables, reports, logs and data sets.

Each quantity that a claim can be about has one function, which knows the relations that make sense for it. A claim's
value is taken as it stands: a bound of 80 % is 80 %, not 79.6 rounded. What it is held against is an interval, so a
claim is contradicted only where no unrounded number could bear it out. What a word like "little" is taken for stands in
params.yaml's `claims`, where our own numbers are judged by it too.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.matching import TableAccuracy, table_accuracies
from stages.audit_paper.prose import refusal, rows_of
from stages.audit_paper.rounding import RoundingInterval, rounded, share
from stages.audit_paper.steps import batches
from stages.config.params import Params
from stages.core.errors import CorruptFileError
from stages.engine.networks import families
from stages.paper.reading import PAPER_FOLDER
from stages.paper.schema import Claim, Paper, PrintedLog, PrintedReport, ReportLine

CLAIM = "claim"
_REPORTS = PAPER_FOLDER / "reports.csv"
_OF_ROWS = ("accuracy spread", "accuracy gain")
_OF_NETWORKS = ("parameters", "input side", "modules between inner max-pools", "initial learning rate")
_OF_TABLES = ("data set",)
_SCORES = ("precision", "recall", "f1")


def claim(paper: Paper, params: Params) -> Iterator[Finding]:
    """What the prose says against the tables, reports and logs, and against the data sets as params.yaml has them."""
    for each in paper.claims:
        check, relations = _QUANTITIES.get(each.quantity, (_tested_elsewhere, ("equals",)))
        if each.relation not in relations:
            raise refusal(each, "relation", each.relation, " or ".join(map(repr, relations)))
        _check_where(each, paper, params)
        yield from check(each, paper, params)


def _check_where(claim: Claim, paper: Paper, params: Params) -> None:
    """Refuse a place that the quantity's rule would not find: the claim would be tested nowhere, or everywhere."""
    allowed = _places(claim, paper, params)
    if unknown := [each for each in claim.where if each not in allowed]:
        raise refusal(claim, "where", unknown, f"one of {', '.join(allowed)}" if allowed else "an empty where")


def _places(claim: Claim, paper: Paper, params: Params) -> list[str]:
    """What `where` may hold: labels of the rows that the claim is about, published networks, tables, or nothing."""
    if claim.quantity in _OF_ROWS:
        spoken_of = (row.row for rows in rows_of(claim, paper, params).values() for row in rows)
        return list(dict.fromkeys([*spoken_of, *_rows_outside_params(paper, params)]))
    if claim.quantity in _OF_NETWORKS:
        return list(dict.fromkeys(source.network for source in paper.published))
    if claim.quantity in _OF_TABLES:
        return list(dict.fromkeys([*map(str, params.paper_tables), *(row.table for row in paper.rows)]))
    return []


def _rows_outside_params(paper: Paper, params: Params) -> list[str]:
    """The labels in tables that params.yaml does not have: a claim about them is sound, and nobody can test it."""
    tables = set(map(str, params.paper_tables))
    return [row.row for row in paper.rows if row.table not in tables]


def _bound(claim: Claim) -> Fraction:
    """A bound as printed. We have none of our own but those of `_points`."""
    if claim.reading != "printed":
        raise refusal(claim, "reading", claim.reading, "printed")
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", claim.value):
        raise refusal(claim, "value", claim.value, "a number like 80 or 0.5")
    return Fraction(claim.value)


def _points(claim: Claim, params: Params, dataset: str) -> Fraction:
    """A bound in points: as printed, or the threshold that params.yaml has for our reading of the claim's word."""
    if claim.reading == "printed":
        return _bound(claim)
    of = params.claims
    thresholds = {
        "claims.depth.margin": of.depth.margin,
        "claims.optimizer.margin": of.optimizer.margin,
        "claims.augmentation.margin": of.augmentation.margin,
        "claims.overfitting.gap": of.overfitting.gap,
    }
    if claim.value not in thresholds:
        raise refusal(claim, "value", claim.value, f"one of params.yaml's {', '.join(thresholds)}")
    return Fraction(str(thresholds[claim.value].of(dataset)))


def _finding(
    claim: Claim, places: list[str], contradicts: str, sentence: str, confidence: Confidence = Confidence.CERTAIN
) -> Finding:
    """A finding of that confidence, if the claim's value is printed; else it is a matter of reading."""
    if claim.reading != "printed":
        confidence = Confidence.READING
    return Finding(CLAIM, confidence, (claim.place, *places), claim.says, contradicts, sentence)


def _reading(claim: Claim, bound: Fraction) -> str:
    """What a sentence about points adds where the bound is our reading."""
    if claim.reading == "printed":
        return ""
    return f" {claim.relation.capitalize()} {float(bound):g} is our reading ({claim.value} in params.yaml)."


def _refutes(found: RoundingInterval, relation: str, bound: Fraction) -> bool:
    """Whether no number of the interval stands in that relation to the bound."""
    if relation == "above":
        return found.high <= bound
    if relation == "at least":
        return found.high < bound
    if relation == "at most":
        return found.low > bound
    return not found.low <= bound <= found.high


def _tested_elsewhere(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """A quantity that another rule looks at: other claims, a publication, the rows."""
    yield from ()


# Reports


def _scores(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """Scores of every class but the exceptions, in percent; or that one score mostly is above another one."""
    if claim.relation == "mostly above":
        yield from _mostly(claim, paper, params)
        return
    metrics = _SCORES if claim.quantity == "every score" else (claim.quantity,)
    bound = _bound(claim) / 100
    for report in _reports(claim, paper):
        broken = [
            f"{name}: {metric} {getattr(line, metric)}"
            for name, line in _classes(claim, report, params)
            for metric in metrics
            if _refutes(share(getattr(line, metric)), claim.relation, bound)
        ]
        if broken:
            sentence = f"In this report these are not {claim.relation} {claim.value} %."
            yield _finding(claim, [report.place], ", ".join(broken), sentence)


def _mostly(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """Over all classes of all reports that the claim is about: at most half can have the one score above the other."""
    if claim.value not in _SCORES:
        raise refusal(claim, "value", claim.value, " or ".join(_SCORES))
    reports = _reports(claim, paper)
    lines = [line for report in reports for _, line in _classes(claim, report, params)]
    scores = [[share(getattr(line, metric)) for metric in (claim.quantity, claim.value)] for line in lines]
    above = [score for score, other in scores if score.high > other.low]
    if lines and 2 * len(above) <= len(lines):
        contradicts = f"{claim.quantity} can be above {claim.value} in {len(above)} of {len(lines)} classes"
        sentence = "Not more than half of the classes of all these reports; that most would be more is our reading."
        yield _finding(claim, [report.place for report in reports], contradicts, sentence)


def _reports(claim: Claim, paper: Paper) -> list[PrintedReport]:
    return [report for report in paper.reports if claim.speaks_of(report.dataset, report.family)]


def _classes(claim: Claim, report: PrintedReport, params: Params) -> list[tuple[str, ReportLine]]:
    """The classes that are no exceptions, by their names: reports print their numbers."""
    names = params.datasets.of(report.dataset).classes
    if unknown := [each for each in claim.exceptions if each not in names]:
        raise refusal(claim, "exceptions", unknown, f"one of {', '.join(names)}")
    if len(names) != len(report.classes):
        raise CorruptFileError(_REPORTS, f"{report.place} has {len(report.classes)} classes", f"{len(names)}")
    lines = zip(names, report.classes, strict=True)
    return [(name, line) for name, line in lines if name not in claim.exceptions]


# Logs


def _logs(claim: Claim, paper: Paper) -> list[PrintedLog]:
    return [log for log in paper.logs if claim.speaks_of(log.dataset, log.family)]


def _gap(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """Points between the training and the validation accuracy of the last epoch."""
    for log in _logs(claim, paper):
        train, validation = log.epochs[-1].train_accuracy, log.epochs[-1].validation_accuracy
        gap = RoundingInterval(
            rounded(train).low - rounded(validation).high,
            rounded(train).high - rounded(validation).low,
        )
        bound = _points(claim, params, log.dataset)
        if _refutes(gap, claim.relation, bound):
            difference = float(Fraction(train) - Fraction(validation))
            sentence = f"The log ends {difference:.2f} points apart.{_reading(claim, bound)}"
            yield _finding(claim, [log.place], f"{train} % of training, {validation} % of validation images", sentence)


def _batch_size(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """The powers of two that fit a log's steps; a log whose steps fit none is another rule's."""
    for log in _logs(claim, paper):
        images = params.datasets.of(log.dataset).train_images
        sizes = batches(images, log.epochs[0].steps)
        if not sizes:
            continue
        interval = RoundingInterval(Fraction(min(sizes)), Fraction(max(sizes)))
        if _refutes(interval, claim.relation, _bound(claim)):
            contradicts = f"{log.epochs[0].steps} steps through {images} images: batches of {min(sizes)}"
            sentence = "Given the split and a power of two, the log has larger batches."
            yield _finding(claim, [log.place], contradicts, sentence, Confidence.LIKELY)


def _epochs(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    for log in _logs(claim, paper):
        if len(log.epochs) != _bound(claim):
            yield _finding(claim, [log.place], f"{len(log.epochs)} epochs", "The log has another number of epochs.")


def _minutes(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """A family whose logs should be the shortest of their data set."""
    if claim.value not in families():
        raise refusal(claim, "value", claim.value, " or ".join(families()))
    for log in _logs(claim, paper):
        faster = [
            other
            for other in _logs(claim, paper)
            if other.dataset == log.dataset and rounded(other.total_minutes).high < rounded(log.total_minutes).low
        ]
        if log.family == claim.value and faster:
            contradicts = ", ".join(f"{other.family} {other.total_minutes} min" for other in faster)
            title = params.datasets.of(log.dataset).title
            sentence = f"On {title}, {log.family} took {log.total_minutes} min; to take minutes for it is our reading."
            yield _finding(claim, [log.place, *(other.place for other in faster)], contradicts, sentence)


# Tables


def _named_rows(claim: Claim, paper: Paper, params: Params) -> Iterator[list[TableAccuracy]]:
    """The rows that the claim names, in its order, of each data set that has them all. Refuses names that none has."""
    everywhere = rows_of(claim, paper, params).values()
    named = [[row for label in claim.where for row in rows if row.row == label] for rows in everywhere]
    found = [rows for rows in named if rows and len(rows) == len(claim.where)]
    if not found and not set(claim.where) & set(_rows_outside_params(paper, params)):
        raise refusal(claim, "where", claim.where, "rows of one family and data set, each printed once")
    yield from found


def _spread(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """Points between the highest and the lowest of the rows."""
    for rows in _named_rows(claim, paper, params):
        highest = max(rows, key=lambda row: row.interval)
        lowest = min(rows, key=lambda row: row.interval)
        yield from _difference(claim, highest, lowest, params)


def _gain(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """Points by which the first of two rows is above the second."""
    if len(claim.where) != 2:
        raise refusal(claim, "where", claim.where, "two rows")
    for first, second in _named_rows(claim, paper, params):
        yield from _difference(claim, first, second, params)


def _difference(claim: Claim, first: TableAccuracy, second: TableAccuracy, params: Params) -> Iterator[Finding]:
    low, high = first.interval.low - second.interval.high, first.interval.high - second.interval.low
    bound = _points(claim, params, first.dataset)
    if _refutes(RoundingInterval(low, high).scaled(100), claim.relation, bound):
        points = float(Fraction(first.accuracy) - Fraction(second.accuracy))
        contradicts = f"{first.row} {first.accuracy} %, {second.row} {second.accuracy} %"
        places = list(dict.fromkeys((f"Table {first.table}", f"Table {second.table}")))
        yield _finding(claim, places, contradicts, f"The rows differ by {points:.2f} points.{_reading(claim, bound)}")


def _other_dataset(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """Rows of the same name on two data sets: more than half are higher on the claim's than on its value's."""
    rows = table_accuracies(paper, params)
    pairs = [
        (row, other)
        for row in rows
        for other in rows
        if row.row == other.row and (row.dataset, other.dataset) == (claim.dataset, claim.value)
    ]
    above = [row for row, other in pairs if row.interval.high > other.interval.low]
    if pairs and 2 * len(above) <= len(pairs):
        contradicts = f"{len(above)} of {len(pairs)} rows of the same name can be higher"
        places = list(dict.fromkeys(f"Table {row.table}" for pair in pairs for row in pair))
        yield _finding(claim, places, contradicts, "Not more than half; that most would be more is our reading.")


def _dataset_facts(claim: Claim, paper: Paper, params: Params) -> Iterator[Finding]:
    """The data set as published; its training images are those that params.yaml splits."""
    if not claim.dataset:
        raise refusal(claim, "dataset", claim.dataset, "a data set")
    own = params.datasets.of(claim.dataset)
    fact = {
        "training images": own.train_images + own.validation_images,
        "test images": own.test_images,
        "classes": len(own.classes),
        "image side": own.size,
        "channels": own.channels,
    }[claim.quantity]
    if _bound(claim) != fact:
        yield _finding(claim, [], f"{fact} {claim.quantity}", f"{own.title} is not so.")


_Check = Callable[[Claim, Paper, Params], Iterator[Finding]]
_SCORE: tuple[_Check, tuple[str, ...]] = (_scores, ("above", "at least", "mostly above"))
_FACT: tuple[_Check, tuple[str, ...]] = (_dataset_facts, ("equals",))
_QUANTITIES: Mapping[str, tuple[_Check, tuple[str, ...]]] = {
    "f1": _SCORE,
    "precision": _SCORE,
    "recall": _SCORE,
    "every score": (_scores, ("above", "at least")),
    "accuracy": (_other_dataset, ("mostly above",)),
    "accuracy spread": (_spread, ("at most",)),
    "accuracy gain": (_gain, ("at most", "at least")),
    "train-validation gap": (_gap, ("at most",)),
    "batch size": (_batch_size, ("at most",)),
    "row": (_tested_elsewhere, ("is printed", "is named")),
    "epochs": (_epochs, ("equals",)),
    "training minutes": (_minutes, ("lowest",)),
    "training images": _FACT,
    "test images": _FACT,
    "classes": _FACT,
    "image side": _FACT,
    "channels": _FACT,
}
