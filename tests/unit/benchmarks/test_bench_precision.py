"""Trainings in two formats, and what is made of them: distances, differences, tables; and what the command refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import precision
from benchmarks.families import run_of
from benchmarks.ours import Ready
from benchmarks.precision import OTHER_ORDER, Protocol, Trained, measure, relative_distance, summary, tables, train
from stages.config.settings import Run
from stages.engine.images import Labelled, Standardise
from stages.engine.loop import Trainer
from stages.engine.numerics import set_up
from stages.engine.seeding import derive

pytestmark = pytest.mark.usefixtures("torch_settings")

LINES: list[dict[str, Any]] = [
    {
        "seed": seed,
        "bfloat16": {1: near, 10: 2 * near},
        "other_order": {1: 1.0, 10: 1.5},
        "accuracy": {"float32": exact, "bfloat16": rounded},
    }
    for seed, (near, exact, rounded) in enumerate([(0.1, 50.0, 51.0), (0.3, 52.0, 51.0), (0.2, 54.0, 57.0)])
]


def small(run: Run, threads: int) -> Ready:
    """A small network and few images in the place of CIFAR10's."""
    numerics = set_up(run.precision, threads, "cpu")
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (20, 3, 8, 8), np.uint8))
    data = Labelled(images, torch.from_numpy(random.integers(0, 10, 20)))
    torch.manual_seed(derive(run.seed, "weights"))
    model = run.cell.build(channels=3, classes=10, input_size=8)
    run = run.model_copy(update={"cell": run.cell.model_copy(update={"batch_size": 4})})
    standardise = Standardise.of({"mean": [0.5] * 3, "std": [0.3] * 3}, 8, numerics)
    return Ready(Trainer(model, run, standardise, numerics), data)


@pytest.mark.slow
def test_trainings_differ_in_what_they_should_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same start; the same batches but for another order, which stops after the last step that is compared."""
    monkeypatch.setattr("stages.engine.numerics.multiplies_bfloat16", lambda device: True)
    monkeypatch.setattr("benchmarks.ours.ready", small)
    cell = run_of("resnet18").cell.model_copy(update={"batch_size": 4})
    monkeypatch.setattr(precision, "run_of", lambda *words: run_of(*words).model_copy(update={"cell": cell}))
    protocol = Protocol("adam", 20, (1, 3), 1)
    exact, again = (train("resnet18", "float32", 7, protocol) for _ in range(2))
    rounded = train("resnet18", "bfloat16", 7, protocol)
    other = train("resnet18", "float32", 7, protocol, 7 + OTHER_ORDER)
    elsewhere = train("resnet18", "float32", 8, protocol)
    for one in (exact, rounded, other):
        assert list(one.weights) == [0, 1, 3]
        assert torch.equal(one.weights[0], exact.weights[0])
    assert not torch.equal(elsewhere.weights[0], exact.weights[0])
    assert relative_distance(exact, again) == {1: 0.0, 3: 0.0}
    assert 0 < relative_distance(exact, rounded)[3] < relative_distance(exact, other)[3]
    steps = [one.trainer.optimizer.state["step"].item() for one in (exact, rounded, other)]
    assert steps == [5, 5, 3]
    monkeypatch.setattr(precision, "validation_accuracy", lambda trainer: float(trainer.run.seed))
    (line,) = measure("resnet18", 1, protocol)
    assert line["accuracy"] == {"float32": 0.0, "bfloat16": 0.0}
    assert 0 < line["bfloat16"][3] < line["other_order"][3]


def trained(*weights: list[float]) -> Trained:
    rows = {step: torch.tensor(row) for step, row in zip((0, 3), weights, strict=True)}
    return Trained(None, rows)  # type: ignore[arg-type]


def test_a_distance_is_a_share_of_the_way() -> None:
    one, other = trained([1.0, 1.0], [1.0, 5.0]), trained([1.0, 1.0], [4.0, 5.0])
    assert relative_distance(one, other) == {3: 0.75}
    assert relative_distance(one, one) == {3: 0.0}


def test_a_summary_by_hand() -> None:
    found = summary(LINES)
    assert found["distance"] == {"bfloat16": {"1": 0.2, "10": 0.4}, "other_order": {"1": 1.0, "10": 1.5}}
    assert found["accuracy"] == {"float32": 52.0, "bfloat16": 53.0}
    assert (found["difference"], found["std_over_seeds"]) == (1.0, 2.0)
    half = 4.303 * 2 / 3**0.5  # Student's t of two degrees of freedom, of differences 1, -1 and 3
    assert found["interval"] == pytest.approx((1 - half, 1 + half), abs=0.01)


def test_one_seed_has_no_interval_and_no_spread() -> None:
    found = summary(LINES[:1])
    assert (found["interval"], found["std_over_seeds"]) == (None, None)
    assert "| vgg16 | 50.0 | 51.0 | +1.0 | none: all alike, or fewer than 3 seeds |  |" in tables({"vgg16": found})


def test_tables_show_distances_and_accuracies() -> None:
    printed = tables({"vgg16": summary(LINES)})
    assert "| vgg16 | 10 | 0.4 | 1.5 |" in printed
    assert "| vgg16 | 52.0 | 53.0 | +1.0 | -4.0 to +6.0 | 2.0 |" in printed


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--steps=1,x"], "'1,x' is not of the form 1,10,50"),
        (["--steps=0"], "'0' is not of the form"),
        (["--steps="], "'' is not of the form"),
        (["--images=45001"], "45001: there are 45000"),
        (["--images=1000"], "50: 1000 images are 32 steps of vgg16"),
        (["--families=googlenet", "--images=1280", "--steps=11"], "11: 1280 images are 10 steps of googlenet"),
        (["--families=vgg19"], "'vgg19' is not one of"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "description", lambda: {"images": {"train": 45000}})
    done = CliRunner().invoke(precision.main, [*options, "--out", str(tmp_path / "precision.json")])
    assert done.exit_code == 2
    assert says in done.output
    assert list(tmp_path.iterdir()) == []
