"""What a printed number may have been: intervals hold what was rounded, however it was rounded, and are no wider."""

from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest

from stages.audit_paper.matching import report_accuracy
from stages.audit_paper.outliers import THRESHOLD, modified_z
from stages.audit_paper.reports import sum_of, whole_images
from stages.audit_paper.rounding import RoundingInterval, as_percent, monotone, percent, rounded, share, significant
from stages.audit_paper.steps import batches
from stages.paper.schema import Paper, PrintedReport, ReportLine


@pytest.mark.parametrize("rounding", [ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN])
def test_every_rounding_to_the_nearest_is_allowed(rounding: str) -> None:
    for count in range(0, 10001, 7):
        value = Decimal(count) / 10000
        text = str(value.quantize(Decimal("0.001"), rounding))
        assert share(text).low <= Fraction(count, 10000) <= share(text).high


def test_cutting_digits_off_is_not_rounding() -> None:
    text = str(Decimal("0.9927").quantize(Decimal("0.001"), ROUND_DOWN))
    assert not share(text).low <= Fraction("0.9927") <= share(text).high


@pytest.mark.parametrize(
    ("found", "low", "high"),
    [
        (rounded("83"), "82.5", "83.5"),
        (rounded("83.0"), "82.95", "83.05"),
        (percent("99.1"), "0.9905", "0.9915"),
        (percent("100"), "0.995", "1"),
        (share("0.000"), "0", "0.0005"),
        (significant("140M"), "135000000", "145000000"),
        (significant("4M"), "3500000", "4500000"),
        (significant("224"), "223.5", "224.5"),
        (significant("0.010"), "0.0095", "0.0105"),
        (significant("0"), "-0.5", "0.5"),
    ],
)
def test_intervals(found: RoundingInterval, low: str, high: str) -> None:
    assert found == (Fraction(low), Fraction(high))


def test_intervals_meet_in_a_single_point_too() -> None:
    assert share("0.991").overlaps(share("0.992"))
    assert not share("0.991").overlaps(share("0.993"))
    assert monotone(sum_of, [share("0.1"), share("0.2")]) == (Fraction("0.2"), Fraction("0.4"))
    assert list(percent("50.00").scaled(10000).integers()) == [5000]
    assert as_percent(RoundingInterval(Fraction(1, 2), Fraction(1, 2)), 2) == "50.00"


@pytest.mark.parametrize(("images", "steps", "expected"), [(50000, 782, [64]), (45000, 352, [128]), (50000, 352, [])])
def test_batches(images: int, steps: int, expected: list[int]) -> None:
    assert batches(images, steps) == expected


def test_twice_the_images_take_the_same_steps_in_twice_the_batch() -> None:
    for size in (32, 64, 128):
        steps = -(-45000 // size)
        assert 2 * size in batches(90000, steps)


def test_modified_z_scores_are_those_of_the_definition() -> None:
    values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]
    middle = np.median(values)
    spread = np.median(np.abs(np.array(values) - middle))
    assert modified_z(values) == pytest.approx(list(0.6745 * (np.array(values) - middle) / spread))
    assert modified_z([1.0, 1.0, 1.0, 5.0]) == [0.0] * 4
    assert modified_z([1.0, 1.0, 1.0, 5.0], least=0.5)[-1] == pytest.approx(0.6745 * 8)


def test_how_often_an_outlier_is_none() -> None:
    """What the rule's `basis` says: among as many normal numbers as a data set has rows, one in nine sets has one."""
    sets = np.random.default_rng(0).normal(size=(4000, 17))
    flagged = sum(max(map(abs, modified_z(list(values)))) > THRESHOLD for values in sets)
    assert flagged / len(sets) == pytest.approx(1 / 9, abs=0.015)


def small_report(first: tuple[str, str, str, int], second: tuple[str, str, str, int], accuracy: str) -> PrintedReport:
    def line(label: str, precision: str, recall: str, f1: str, support: int) -> ReportLine:
        return ReportLine(
            figure="1", dataset="mnist", family="vgg", label=label,
            precision=precision, recall=recall, f1=f1, support=support,
        )  # fmt: skip

    classes = (line("0", *first), line("1", *second))
    averages = (line("macro avg", *first[:3], 20), line("weighted avg", *first[:3], 20))
    return PrintedReport("1", "mnist", "vgg", classes, line("accuracy", "", "", accuracy, 20), averages)


def test_recalls_count_the_recognised_images() -> None:
    report = small_report(("0.80", "0.70", "0.75", 10), ("0.80", "0.80", "0.80", 10), "0.75")
    assert report_accuracy(report) == (Fraction(15, 20), Fraction(15, 20))


def test_an_impossible_recall_leaves_the_printed_accuracy() -> None:
    report = small_report(("0.80", "0.75", "0.77", 10), ("0.80", "0.80", "0.80", 10), "0.78")
    assert report_accuracy(report) == share("0.78")


def test_a_class_that_no_whole_number_of_images_gives(params: object) -> None:
    """0.75 of 10 images is none; every plainer rule lets it pass."""
    same = ("0.75", "0.75", "0.75", 10)
    report = small_report(same, same, "0.75")
    settings = params.model_copy(  # type: ignore[attr-defined]
        update={"datasets": params.datasets.model_copy(  # type: ignore[attr-defined]
            update={"mnist": params.datasets.mnist.model_copy(update={"test_images": 20})})}  # type: ignore[attr-defined]
    )  # fmt: skip
    found = list(whole_images(Paper((), (report,), (), (), ()), settings))
    assert [each.printed for each in found] == [f"{label}: precision, recall, F1, support" for label in "01"]
    fine = small_report(("0.80", "0.80", "0.80", 10), ("0.80", "0.80", "0.80", 10), "0.80")
    assert list(whole_images(Paper((), (fine,), (), (), ()), settings)) == []
