"""What is made of trainings in two formats: distances, differences, tables; and what the command refuses."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks import precision
from benchmarks.precision import Way, apart, summary, tables

LINES = [
    {
        "seed": seed,
        "bfloat16": {1: near, 10: 2 * near},
        "other_order": {1: 1.0, 10: 1.5},
        "accuracy": {"float32": exact, "bfloat16": rounded},
    }
    for seed, (near, exact, rounded) in enumerate([(0.1, 50.0, 51.0), (0.3, 52.0, 51.0), (0.2, 54.0, 57.0)])
]


def test_a_distance_is_a_share_of_the_way() -> None:
    rows = {0: torch.tensor([1.0, 1.0]), 3: torch.tensor([1.0, 5.0])}
    other = {0: rows[0], 3: torch.tensor([4.0, 5.0])}
    assert apart(Way(rows, 50.0), Way(other, 50.0)) == {3: 0.75}
    assert apart(Way(rows, 50.0), Way(rows, 50.0)) == {3: 0.0}


def test_a_summary_by_hand() -> None:
    found = summary(LINES)
    assert found["distance"] == {"bfloat16": {"1": 0.2, "10": 0.4}, "other_order": {"1": 1.0, "10": 1.5}}
    assert found["accuracy"] == {"float32": 52.0, "bfloat16": 53.0}
    assert (found["difference"], found["deviation_over_seeds"]) == (1.0, 2.0)
    half = 4.303 * 2 / 3**0.5  # Student's t of two degrees of freedom, of differences 1, -1 and 3
    assert found["interval"] == pytest.approx((1 - half, 1 + half), abs=0.01)


def test_one_seed_has_no_interval_and_no_scatter() -> None:
    found = summary(LINES[:1])
    assert (found["interval"], found["deviation_over_seeds"]) == (None, None)
    assert "| vgg16 | 50.0 | 51.0 | +1.0 |  |" in tables({"vgg16": found})


def test_tables_show_distances_and_accuracies() -> None:
    printed = tables({"vgg16": summary(LINES)})
    assert "| vgg16 | 10 steps | 0.4 | 1.5 |" in printed
    assert "| vgg16 | 52.0 | 53.0 | +1.0 (-4.0 to +6.0) | 2.0 |" in printed


@pytest.mark.parametrize("option", ["--steps=1,x", "--steps=0", "--steps=", "--images=45001", "--families=vgg19"])
def test_what_cannot_be_measured_is_refused(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "description", lambda: {"images": {"train": 45000}})
    done = CliRunner().invoke(precision.main, [option, "--out", str(tmp_path / "precision.json")])
    assert done.exit_code == 2
    assert option.split("=")[1] in done.output
    assert list(tmp_path.iterdir()) == []
