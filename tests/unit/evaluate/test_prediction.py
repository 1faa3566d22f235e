"""A trained run's predictions: those of its weights on the chosen images, a diverged run's too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from stages.config.params import load_params
from stages.config.settings import Run
from stages.core.errors import CorruptFileError
from stages.engine.network import network_of
from stages.engine.numerics import set_up
from stages.evaluate.metrics import digits, score
from stages.evaluate.prediction import Predicted, predict_test

pytestmark = pytest.mark.usefixtures("torch_settings")

PARAMS = load_params(Path(__file__).resolve().parents[3] / "params.yaml")
EVERY, COUNT = 30, 20
CLASSES = ["0", "1", "2"]
DATA = {"channels": 1, "classes": CLASSES, "images": {"test": EVERY}, "mean": [0.4], "std": [0.3]}


@pytest.fixture
def test_split(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "test"
    folder.mkdir()
    np.save(folder / "images.npy", random.integers(0, 256, (EVERY, 1, 28, 28), np.uint8))
    np.save(folder / "labels.npy", np.arange(EVERY, dtype=np.uint8) % len(CLASSES))
    return folder


def trained(folder: Path, value: float | None = None) -> dict[str, Any]:
    """A run of ResNet18's first weights, or of weights that are all `value`, and its record."""
    run = Run.model_validate(
        PARAMS.run("mnist/resnet18", "paper", 0).model_dump()
        | {"images": 9, "sample_images": 4, "validation_images": 4, "epochs": 1}
    )
    torch.manual_seed(0)
    weights = network_of(run, DATA).state_dict()
    if value is not None:
        weights = {
            name: torch.full_like(tensor, value) if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    folder.mkdir()
    save_file(weights, folder / "weights.safetensors")
    return {"config": run.model_dump(), "precision": "float32", "threads": 1, "device": "cpu"}


def predicted(tmp_path: Path, test: Path, value: float | None = None) -> Predicted:
    record = trained(tmp_path / "run", value)
    return predict_test(record, tmp_path / "run", DATA, test, COUNT)


def test_predictions_are_those_of_a_plain_forward_pass(tmp_path: Path, test_split: Path) -> None:
    found = predicted(tmp_path, test_split)
    set_up("float32", 1, "cpu")
    torch.manual_seed(0)
    run = Run.model_validate(trained(tmp_path / "again")["config"])
    torch.manual_seed(0)
    model = network_of(run, DATA).eval()
    chosen = [index * EVERY // COUNT for index in range(COUNT)]
    images = torch.from_numpy(np.load(test_split / "images.npy")[chosen]).float() / 255
    size = (run.cell.input_size, run.cell.input_size)
    images = F.interpolate((images - 0.4) / 0.3, size, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        logits = model(images)
    labels = np.load(test_split / "labels.npy")[chosen]
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-3, atol=1e-4)
    assert found.logits.dtype == np.float32
    assert (found.labels == labels).all()
    assert (found.classes == found.logits.argmax(1)).all()
    expected = F.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64))).item()
    assert found.loss == pytest.approx(expected, rel=1e-3)
    assert (found.numerics["device"], found.numerics["precision"]) == ("cpu", "float32")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_network_is_counted_like_any_other(tmp_path: Path, test_split: Path, value: float) -> None:
    found = predicted(tmp_path, test_split, value)
    assert np.isnan(found.logits).all()
    assert found.loss is None
    scored = score(found.labels, found.classes, CLASSES, COUNT)
    assert digits(found.classes) == "0" * COUNT
    assert scored["correct"] == int((found.labels == 0).sum())
    assert scored["at_chance"] is True


def test_one_nan_is_taken_for_the_largest() -> None:
    """As torch.argmax takes it, by which the history's accuracies are counted."""
    logits = np.array([[0.1, np.nan, 9.0], [0.1, 0.2, 9.0], [np.nan, np.nan, 0.0]], np.float32)
    found = Predicted(logits, np.zeros(3, np.uint8), None, {}, np.zeros((3, 1, 2, 2), np.uint8), np.arange(3))
    assert found.classes.tolist() == [1, 2, 0] == torch.from_numpy(logits).argmax(1).tolist()


def test_a_split_of_another_size_is_refused(tmp_path: Path, test_split: Path) -> None:
    record = trained(tmp_path / "run")
    with pytest.raises(CorruptFileError, match="30 images, 30 labels; expected 31 of each"):
        predict_test(record, tmp_path / "run", DATA | {"images": {"test": EVERY + 1}}, test_split, COUNT)
