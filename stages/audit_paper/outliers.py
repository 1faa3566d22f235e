"""What lies far off the rest of its kind. Unusual is not impossible: these findings say where to look."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from math import log
from statistics import median

from stages.audit_paper.finding import Confidence, Finding
from stages.audit_paper.matching import table_accuracies
from stages.audit_paper.rounding import resolution, rounded
from stages.config.params import Params
from stages.paper.schema import Paper, PrintedLog

OUTLIER = "outlier"
EPOCH_TIMES = "epoch-times"
CONSISTENCY = 0.6745  # Iglewicz and Hoaglin 1993, section 3.3: makes the median deviation a normal's standard deviation
THRESHOLD = 3.5  # same place: the absolute modified z-score from which they label a potential outlier


def modified_z(values: Sequence[float], least: float = 0.0) -> list[float]:
    """Modified z-scores (Iglewicz and Hoaglin 1993): 0.6745 (x - median) / MAD.

    `least` is the smallest spread that the values' rounding lets be seen. Without any spread, where more than half of
    the values are the same and `least` is 0, nothing can be called far, and all scores are 0.
    """
    middle = median(values)
    spread = max(median(abs(value - middle) for value in values), least)
    return [CONSISTENCY * (value - middle) / spread if spread else 0.0 for value in values]


def outlier(paper: Paper, params: Params) -> Iterator[Finding]:
    """An accuracy far from the others on its data set, in log-odds: percentages crowd below 100, log-odds do not."""
    rows = table_accuracies(paper, params)
    for dataset in dict.fromkeys(row.dataset for row in rows):
        of_dataset = [row for row in rows if row.dataset == dataset]
        odds = [_log_odds(row.accuracy) for row in of_dataset]
        for row, score in zip(of_dataset, modified_z(odds), strict=True):
            if abs(score) > THRESHOLD:
                others = [other.accuracy for other in of_dataset if other != row]
                low, high = min(others, key=float), max(others, key=float)
                title = params.datasets.of(dataset).title
                yield Finding(
                    OUTLIER,
                    Confidence.LIKELY,
                    (row.place,),
                    f"{row.accuracy} % on {title}",
                    f"{low} to {high} % in all other rows on {title}",
                    f"Its modified z-score is {score:.1f}; from {THRESHOLD} on, a value is a potential outlier.",
                )


def _log_odds(accuracy: str) -> float:
    """Of a percentage; one printed as 0 or 100 is taken half a unit of its last digit inside."""
    half = resolution(accuracy) / 2
    share = min(max(Fraction(accuracy), half), 100 - half) / 100
    return log(share / (1 - share))


def epoch_times(paper: Paper, params: Params) -> Iterator[Finding]:
    """A log whose clock runs backward or ends elsewhere than it says, or has an epoch of quite another length."""
    for each in paper.logs:
        yield from _clock(each)
        yield from _lengths(each)


def _clock(log_: PrintedLog) -> Iterator[Finding]:
    stamps = [epoch.elapsed_minutes for epoch in log_.epochs]
    for earlier, later in pairwise(stamps):
        if rounded(later).high < rounded(earlier).low:
            sentence = "The minutes since the start fall from one epoch to the next."
            printed, contradicts = f"{later} min", f"{earlier} min an epoch before"
            yield Finding(EPOCH_TIMES, Confidence.CERTAIN, (log_.place,), printed, contradicts, sentence)
    if stamps and rounded(log_.total_minutes).high < rounded(stamps[-1]).low:
        sentence = "The whole training is shorter than its epochs."
        printed, contradicts = f"{log_.total_minutes} min in all", f"{stamps[-1]} min at the last epoch"
        yield Finding(EPOCH_TIMES, Confidence.CERTAIN, (log_.place,), printed, contradicts, sentence)


def _lengths(log_: PrintedLog) -> Iterator[Finding]:
    stamps = [epoch.elapsed_minutes for epoch in log_.epochs]
    lengths = [float(later) - float(earlier) for earlier, later in pairwise(["0", *stamps])]
    if not lengths or min(lengths) < 0:
        return
    finest = float(max(resolution(stamp) for stamp in stamps))  # the difference of two rounded stamps is no finer
    found = [
        (epoch.epoch, length)
        for epoch, length, score in zip(log_.epochs, lengths, modified_z(lengths, finest), strict=True)
        if abs(score) > THRESHOLD
    ]
    if found:
        listed = ", ".join(f"epoch {number} of {length:.2f} min" for number, length in found)
        sentence = f"By the clock of the log these epochs are potential outliers (modified z-score above {THRESHOLD})."
        contradicts = f"{median(lengths):.2f} min for the median epoch"
        yield Finding(EPOCH_TIMES, Confidence.LIKELY, (log_.place,), listed, contradicts, sentence)
