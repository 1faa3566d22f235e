"""Scores against a confusion counted by hand and against scikit-learn; counts that do not add up are refused."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from stages.core.errors import StageError
from stages.evaluate.metrics import score
from stages.records.digits import digits

CLASSES = ["cat", "dog", "owl"]


def labels_of(*values: int) -> NDArray[np.uint8]:
    return np.array(values, np.uint8)


def test_a_confusion_counted_by_hand() -> None:
    labels = labels_of(0, 0, 0, 1, 1, 2, 2, 2, 2, 2)
    predictions = labels_of(0, 0, 1, 1, 2, 2, 2, 2, 0, 2)
    found = score(labels, predictions, CLASSES, 10)
    assert found["confusion"] == [[2, 1, 0], [0, 1, 1], [1, 0, 4]]  # the true class in the rows
    assert (found["test_images"], found["correct"], found["accuracy"]) == (10, 7, 0.7)
    report = found["report"]
    assert list(report) == [*CLASSES, "accuracy", "macro avg", "weighted avg"]
    assert report["accuracy"] == 0.7
    expected = {"cat": (2 / 3, 2 / 3, 3), "dog": (1 / 2, 1 / 2, 2), "owl": (4 / 5, 4 / 5, 5)}
    for name, (precision, recall, support) in expected.items():
        assert report[name]["precision"] == pytest.approx(precision)
        assert report[name]["recall"] == pytest.approx(recall)
        assert report[name]["f1-score"] == pytest.approx(2 * precision * recall / (precision + recall))
        assert report[name]["support"] == support
    assert report["macro avg"]["recall"] == pytest.approx((2 / 3 + 1 / 2 + 4 / 5) / 3)
    assert report["weighted avg"]["precision"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2 + 5 * 4 / 5) / 10)


def test_scores_are_scikit_learn_s() -> None:
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 10, (2, 500)).astype(np.uint8)
    classes = [f"class {i}" for i in range(10)]
    found = score(labels, predictions, classes, 500)
    assert found["accuracy"] == accuracy_score(labels, predictions)
    columns = precision_recall_fscore_support(labels, predictions)
    for i, name in enumerate(classes):
        values = [found["report"][name][key] for key in ("precision", "recall", "f1-score", "support")]
        assert values == pytest.approx([float(column[i]) for column in columns])
        for j in range(10):
            assert found["confusion"][i][j] == int(((labels == i) & (predictions == j)).sum())


def test_a_class_that_is_never_predicted_has_precision_0_without_a_warning() -> None:
    found = score(labels_of(0, 1, 2), labels_of(0, 0, 0), CLASSES, 3)
    assert found["confusion"] == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert found["report"]["owl"] == {"precision": 0.0, "recall": 0.0, "f1-score": 0.0, "support": 1.0}


def test_a_class_that_does_not_occur_keeps_its_row() -> None:
    found = score(labels_of(0, 0), labels_of(0, 1), CLASSES, 2)
    assert found["confusion"] == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert found["report"]["owl"]["support"] == 0.0
    assert found["report"]["accuracy"] == 0.5


def test_scores_can_be_written_as_json() -> None:
    found = score(labels_of(0, 1, 2), labels_of(0, 1, 1), CLASSES, 3)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(
    ("labels", "predictions", "expected"),
    [(3, 3, 4), (3, 3, 2), (3, 2, 3), (2, 3, 3), (0, 0, 1), (9999, 9999, 10000)],
)
def test_counts_that_do_not_add_up_are_refused(labels: int, predictions: int, expected: int) -> None:
    zeros = np.zeros(10000, np.uint8)
    message = f"evaluated {predictions} predictions of {labels} labels; expected {expected} images"
    with pytest.raises(StageError, match=message):
        score(zeros[:labels], zeros[:predictions], CLASSES, expected)


@pytest.mark.parametrize("wrong", [(labels_of(0, 1, 3), labels_of(0, 1, 2)), (labels_of(0, 1, 2), labels_of(0, 1, 3))])
def test_a_class_beyond_the_last_is_refused(wrong: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    with pytest.raises(StageError, match="the confusion matrix counts 2 images; expected 3"):
        score(*wrong, CLASSES, 3)


def test_classes_are_written_as_digits() -> None:
    assert digits(labels_of(0, 9, 5, 5)) == "0955"
    assert digits(labels_of()) == ""
    with pytest.raises(StageError, match=r"class 10 does not fit one digit; allowed: 0 to 9"):
        digits(labels_of(1, 10))
