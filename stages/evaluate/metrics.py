"""Accuracy, whether it is at chance, per-class report and confusion matrix, all from the same stored predictions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix

from stages.core.errors import StageError
from stages.evaluate.chance import at_chance


def score(
    labels: NDArray[np.uint8], predictions: NDArray[np.uint8], classes: list[str], expected: int
) -> dict[str, Any]:
    """Score `predictions` against `labels`, both of shape (n,), where n must be `expected`.

    `report` is scikit-learn's classification report (a class that is never predicted has precision 0), `confusion` has
    the true class in its rows. Raises StageError when the counts do not add up.
    """
    if not len(labels) == len(predictions) == expected:
        raise StageError(
            f"evaluated {len(predictions)} predictions of {len(labels)} labels; expected {expected} images"
        )
    indices = list(range(len(classes)))
    correct = int((labels == predictions).sum())
    confusion = confusion_matrix(labels, predictions, labels=indices)
    if int(confusion.sum()) != expected or int(np.trace(confusion)) != correct:
        raise StageError(f"the confusion matrix counts {confusion.sum()} images; expected {expected}")
    report = classification_report(
        labels, predictions, labels=indices, target_names=classes, output_dict=True, zero_division=0
    )
    report.setdefault("accuracy", correct / expected)
    return {
        "test_images": expected,
        "correct": correct,
        "accuracy": correct / expected,
        "at_chance": at_chance(labels, correct),
        "report": report,
        "confusion": confusion.tolist(),
    }
