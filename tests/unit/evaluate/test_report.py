"""The report's layout against scikit-learn's own."""

import numpy as np
import pytest
from sklearn.metrics import classification_report

from stages.evaluate.report import report_text


@pytest.mark.parametrize("classes", [list("0123456789"), ["airplane", "a class with a long name", *"23456789"]])
def test_report_is_scikit_learns_own(classes: list[str]) -> None:
    labels, predictions = np.random.default_rng(0).integers(0, 9, (2, 300))  # the last class does not occur
    scored = {"labels": range(10), "target_names": classes, "zero_division": 0}
    report = classification_report(labels, predictions, output_dict=True, **scored)
    report.setdefault("accuracy", float((labels == predictions).mean()))
    assert report_text(report, classes) == classification_report(labels, predictions, digits=3, **scored)
