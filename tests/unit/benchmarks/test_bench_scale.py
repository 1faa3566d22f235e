"""The ideal that a replay is held against, and what the command refuses."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.scale import ideal, main


@pytest.mark.parametrize(
    ("times", "workers", "expected"),
    [
        ([3.0, 1.0, 2.0], 1, 6.0),
        ([3.0, 1.0, 2.0], 2, 3.0),
        ([3.0, 1.0, 2.0], 9, 3.0),
        ([4.0, 4.0, 3.0, 3.0, 3.0], 2, 10.0),  # longest first: 4 + 3 + 3 beside 4 + 3
    ],
)
def test_the_ideal_hands_the_longest_to_whoever_is_free(times: list[float], workers: int, expected: float) -> None:
    assert ideal(times, workers) == expected


def test_no_results_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["--workers", "1"])
    assert (done.exit_code, done.output) == (
        1,
        "Error: reports/quick/cells/*/*-s0.json is missing; it is made by: dvc repro, budget quick\n",
    )
