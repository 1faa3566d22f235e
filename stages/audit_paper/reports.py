"""Classification reports against their own arithmetic (the definitions of scikit-learn's classification_report)."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.matching import images_of
from stages.audit_paper.rounding import RoundingInterval, monotone, share
from stages.config.params import Params
from stages.paper.schema import Paper, PrintedReport, ReportLine

F1_OF_CLASS = "f1-of-class"
AVERAGES = "averages"
SUPPORTS = "supports"
WHOLE_IMAGES = "whole-images"
METRICS = ("precision", "recall", "f1")
_DIGITS = 4  # of a recomputed share: one more than reports print
Scores = Mapping[str, RoundingInterval]


class _Counts(NamedTuple):
    """A class's recognised images, and how many images were taken for it."""

    recognised: int
    predicted: int


def f1_of_class(paper: Paper, params: Params) -> Iterator[Finding]:
    """A class's F1 that is not 2PR / (P + R) of its precision and recall."""
    for report in paper.reports:
        for line in report.classes:
            expected = monotone(_f1, [share(line.precision), share(line.recall)])
            if not expected.overlaps(share(line.f1)):
                given = f"precision {line.precision} and recall {line.recall}, which give {_between(expected)}"
                yield _finding(F1_OF_CLASS, report, f"{line.label}: F1 {line.f1}", given, "F1 of a class")


def averages(paper: Paper, params: Params) -> Iterator[Finding]:
    """A macro or weighted average, or an accuracy, that is not the mean of what the classes print."""
    for report in paper.reports:
        yield from _averages(AVERAGES, report, [_printed(line) for line in report.classes])


def supports(paper: Paper, params: Params) -> Iterator[Finding]:
    """Supports that do not add up to the summary's, or to the test images of the data set."""
    for report in paper.reports:
        total = images_of(report)
        for line in (report.accuracy, *report.averages):
            if line.support != total:
                printed = f"{line.label}: support {line.support}"
                yield _finding(SUPPORTS, report, printed, f"the classes' supports, {total} in all", "support")
        test_images = params.datasets.of(report.dataset).test_images
        if total != test_images:
            expected = f"the {test_images} test images of {params.datasets.of(report.dataset).title}"
            yield _finding(SUPPORTS, report, f"classes of {total} images in all", expected, "number of images")


def whole_images(paper: Paper, params: Params) -> Iterator[Finding]:
    """Scores that no confusion matrix gives: recognised and predicted images are whole numbers, and add up.

    In the spirit of the GRIM test (Brown and Heathers 2017, "The GRIM test"): a mean of whole numbers can only have
    some values. Reports that contradict one of the plainer rules are left to those.
    """
    for report in paper.reports:
        one = Paper((), (report,), (), (), ())
        if not any(list(rule(one, params)) for rule in (f1_of_class, averages, supports)):
            yield from _whole_images(report)


def _whole_images(report: PrintedReport) -> Iterator[Finding]:
    total = images_of(report)
    possible = [_possible(line, total) for line in report.classes]
    impossible = [line.label for line, counts in zip(report.classes, possible, strict=True) if not counts]
    for label in impossible:
        expected = "every number of recognised and of predicted images"
        yield _finding(WHOLE_IMAGES, report, f"{label}: precision, recall, F1, support", expected, "triple of scores")
    if impossible:
        return
    predicted = [RoundingInterval(*_ends([counts.predicted for counts in each])) for each in possible]
    sums = monotone(sum_of, predicted)
    if not sums.low <= total <= sums.high:
        found = f"precisions and recalls that ask for {sums.low} to {sums.high} predictions"
        yield _finding(WHOLE_IMAGES, report, found, f"{total} images, each predicted once", "number of predictions")
    scores = [_scores(line, counts) for line, counts in zip(report.classes, possible, strict=True)]
    yield from _averages(WHOLE_IMAGES, report, scores)


def _possible(line: ReportLine, total: int) -> list[_Counts]:
    """The pairs of counts that give a class's three printed scores; `total` bounds the predictions."""
    precision, recall, f1 = (share(getattr(line, metric)) for metric in METRICS)
    found = []
    for recognised in recall.scaled(line.support).integers():
        low = ceil(recognised / precision.high) if precision.high else 0
        high = min(total, floor(recognised / precision.low)) if precision.low else total
        for predicted in range(max(low, recognised), high + 1):
            both = line.support + predicted
            score = Fraction(2 * recognised, both) if both else Fraction(0)
            if f1.low <= score <= f1.high:
                found.append(_Counts(recognised, predicted))
    return found


def _scores(line: ReportLine, possible: list[_Counts]) -> Scores:
    """What the scores of a class were at least and at most."""
    values: dict[str, list[Fraction]] = {metric: [] for metric in METRICS}
    for recognised, predicted in possible:
        both = line.support + predicted
        values["precision"].append(Fraction(recognised, predicted) if predicted else Fraction(0))
        values["recall"].append(Fraction(recognised, line.support) if line.support else Fraction(0))
        values["f1"].append(Fraction(2 * recognised, both) if both else Fraction(0))
    return {metric: RoundingInterval(*_ends(found)) for metric, found in values.items()}


def _ends(values: Sequence[int] | Sequence[Fraction]) -> tuple[Fraction, Fraction]:
    return Fraction(min(values)), Fraction(max(values))


def _averages(rule: str, report: PrintedReport, scores: list[Scores]) -> Iterator[Finding]:
    """Hold the three summary lines against the classes' scores, as printed or narrower."""
    weights = [line.support for line in report.classes]
    if not sum(weights):
        return
    macro, weighted = report.averages
    equal = [1] * len(weights)
    for metric in METRICS:
        for line, weighing in ((macro, equal), (weighted, weights)):
            found = getattr(line, metric)
            expected = _mean([each[metric] for each in scores], weighing)
            if not expected.overlaps(share(found)):
                printed, given = f"{line.label}: {metric} {found}", f"the classes' {metric}, {_between(expected)}"
                yield _finding(rule, report, printed, given, f"average {metric}")
    expected = _mean([each["recall"] for each in scores], weights)
    if not expected.overlaps(share(report.accuracy.f1)):
        given = f"the classes' recall by support, {_between(expected)}"
        yield _finding(rule, report, f"accuracy {report.accuracy.f1}", given, "accuracy")


def _mean(values: list[RoundingInterval], weights: list[int]) -> RoundingInterval:
    def mean(ends: list[Fraction]) -> Fraction:
        return sum_of([end * weight for end, weight in zip(ends, weights, strict=True)]) / sum(weights)

    return monotone(mean, values)


def sum_of(values: Sequence[Fraction]) -> Fraction:
    """A sum that is a fraction even of nothing."""
    return sum(values, Fraction(0))


def _f1(ends: list[Fraction]) -> Fraction:
    precision, recall = ends
    return 2 * precision * recall / (precision + recall) if precision + recall else Fraction(0)


def _printed(line: ReportLine) -> Scores:
    return {metric: share(getattr(line, metric)) for metric in METRICS}


def _between(interval: RoundingInterval) -> str:
    return f"between {float(interval.low):.{_DIGITS}f} and {float(interval.high):.{_DIGITS}f}"


def _finding(rule: str, report: PrintedReport, printed: str, contradicts: str, what: str) -> Finding:
    sentence = f"The printed {what} does not follow from the rest of the same report, however it was rounded."
    return Finding(rule, Confidence.CERTAIN, (report.place,), printed, contradicts, sentence)
