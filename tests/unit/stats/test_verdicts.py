"""Verdicts on planted numbers, and the tolerances of params.yaml against the scatter of the paper's own logs."""

from math import sqrt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.config.loading import load_params
from stages.stats.verdicts import CLOSE, FAR, NEAR, UNJUDGED, judge, rounding

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("paper", "ours", "word"),
    [
        ("82.3", 82.3, CLOSE),
        ("82.3", 79.8, CLOSE),
        ("82.3", 79.75, CLOSE),  # 82.25 would have been printed so
        ("82.3", 79.74, NEAR),
        ("82.3", 84.9, NEAR),
        ("82.3", 77.25, NEAR),
        ("82.3", 77.2, FAR),
        ("82.3", 10.0, FAR),
        ("83", 85.9, CLOSE),  # 83.5 would have been printed so
        ("83", 86.1, NEAR),
    ],
)
def test_words(paper: str, ours: float, word: str) -> None:
    found = judge(paper, ours, close=2.5, near=5.0, as_paper=True)
    assert found.word == word
    assert "points away" in found.why


def test_other_conditions_cannot_be_judged_however_close() -> None:
    found = judge("82.3", 82.3, close=2.5, near=5.0, as_paper=False)
    assert found.word == UNJUDGED
    assert "not trained under the paper's conditions" in found.why


@pytest.mark.parametrize(("printed", "half"), [("83", 0.5), ("82.3", 0.05), ("98.29", 0.005)])
def test_rounding(printed: str, half: float) -> None:
    assert rounding(printed) == pytest.approx(half)


@pytest.mark.parametrize(("dataset", "figures"), [("mnist", (7, 15)), ("cifar10", (9, 13, 17))])
def test_close_is_what_the_papers_own_logs_scatter_by(dataset: str, figures: tuple[int, ...]) -> None:
    """As params.yaml says: 1.96 * s * sqrt(1 + 1/5) in halves, s from the steps between the last five epochs."""
    logs = pd.read_csv(REPOSITORY / "data" / "paper" / "logs.csv")
    steps = [np.diff(logs[logs["figure"] == figure]["validation_accuracy"].to_numpy()[-5:]) for figure in figures]
    scatter = sqrt(np.mean(np.square(np.concatenate(steps))) / 2)
    close = load_params(REPOSITORY / "params.yaml").verdicts.close.of(dataset)
    assert close == round(2 * 1.96 * scatter * sqrt(1 + 1 / 5)) / 2
