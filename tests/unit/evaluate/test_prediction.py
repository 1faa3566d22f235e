"""A trained run's predictions: those of its weights on the chosen images in plain float32, a diverged run's too."""

import ast
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from stages.core.errors import CorruptFileError
from stages.engine.network import network_of
from stages.evaluate.metrics import score
from stages.evaluate.prediction import LabelledPredictions, predict_test
from stages.records.digits import digits
from tests.unit.engine.settings import FAMILIES, cell_of

pytestmark = pytest.mark.usefixtures("torch_settings")

ROOT = Path(__file__).resolve().parents[3]
TOTAL, COUNT = 30, 20
CLASSES = ["0", "1", "2"]
CHOSEN = [index * TOTAL // COUNT for index in range(COUNT)]


def trained_with(precision: str = "float32", threads: int = 1, device: str = "cpu") -> dict[str, Any]:
    """What a run record says of the numerics of the training."""
    return {"device": device, "precision": precision, "threads": threads, "backend": {}}


@pytest.fixture
def test_split(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "test"
    folder.mkdir()
    np.save(folder / "images.npy", random.integers(0, 256, (TOTAL, 1, 28, 28), np.uint8))
    np.save(folder / "labels.npy", np.arange(TOTAL, dtype=np.uint8) % len(CLASSES))
    return folder


def described(test: Path, total: int = TOTAL) -> dict[str, Any]:
    """What dataset.json says of the split."""
    sha256 = {f"test_{path.stem}": hashlib.sha256(path.read_bytes()).hexdigest() for path in test.glob("*.npy")}
    statistics = {"mean": [0.4], "std": [0.3]}
    return {"channels": 1, "classes": CLASSES, "images": {"test": total}, "sha256": sha256, **statistics}


def first_network(family: str) -> nn.Module:
    torch.manual_seed(0)
    return network_of(cell_of(family), {"channels": 1, "classes": CLASSES})


def written(folder: Path, family: str, value: float | None = None) -> Path:
    """A network's first weights, or weights that are all `value`."""
    weights = first_network(family).state_dict()
    if value is not None:
        weights = {
            name: torch.full_like(tensor, value) if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    path = folder / "weights.safetensors"
    save_file(weights, path)
    return path


def predicted(
    folder: Path, test: Path, family: str = "resnet", value: float | None = None, **how: Any
) -> LabelledPredictions:
    weights = written(folder, family, value)
    return predict_test(cell_of(family), weights, trained_with(**how), described(test), test, COUNT)


def plain_input(test: Path) -> Tensor:
    """The chosen images, standardised and resized as anyone would."""
    images = torch.from_numpy(np.load(test / "images.npy")[CHOSEN]).float() / 255
    return F.interpolate((images - 0.4) / 0.3, (32, 32), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("family", FAMILIES)
def test_predictions_are_those_of_a_plain_forward_pass(family: str, tmp_path: Path, test_split: Path) -> None:
    found = predicted(tmp_path, test_split, family)
    model = first_network(family).eval()
    with torch.inference_mode():
        logits = model(plain_input(test_split))
    labels = np.load(test_split / "labels.npy")[CHOSEN]
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-5)
    assert found.logits.dtype == np.float32
    assert (found.labels == labels).all()
    assert (found.classes == found.logits.argmax(1)).all()
    assert found.test_indices.tolist() == CHOSEN
    assert np.array_equal(found.images, np.load(test_split / "images.npy")[CHOSEN])
    expected = F.cross_entropy(logits, torch.from_numpy(labels.astype(np.int64))).item()
    assert found.loss == pytest.approx(expected, rel=1e-4)


def test_predictions_are_torchvisions_bit_for_bit(tmp_path: Path, test_split: Path) -> None:
    """Its own ResNet18 with the weights of the file, in channels-last order: no layer of ours takes part."""
    found = predicted(tmp_path, test_split)
    model = models.resnet18(num_classes=len(CLASSES))
    model.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    model.load_state_dict(first_network("resnet").state_dict())
    model.eval().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        logits = model(plain_input(test_split).contiguous(memory_format=torch.channels_last))
    assert found.logits.tobytes() == logits.numpy().tobytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_testing_is_in_float32_whatever_the_training_was(
    precision: str, threads: int, tmp_path: Path, test_split: Path
) -> None:
    """With as many threads, and on a machine without bfloat16 too; the format changes nothing."""
    found = predicted(tmp_path, test_split, precision=precision, threads=threads)
    numerics = {name: found.numerics[name] for name in ("device", "precision", "threads")}
    assert numerics == {"device": "cpu", "precision": "float32", "threads": threads}
    exact = predicted(tmp_path, test_split, precision="float32", threads=threads)
    assert found.logits.tobytes() == exact.logits.tobytes()


def test_no_part_of_training_is_imported(forked: str) -> None:
    """A change in the training loop, its layers or its optimizers must not make a test of a network stale."""
    program = "import sys, stages.evaluate.prediction; print(sorted(m for m in sys.modules if m.startswith('stages.')))"
    done = subprocess.run([forked, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    engine = {name for name in ast.literal_eval(done.stdout) if name.startswith("stages.engine.")}
    assert engine == {
        f"stages.engine.{name}" for name in ("images", "memory", "network", "networks", "numerics", "prediction")
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverged_network_is_counted_like_any_other(tmp_path: Path, test_split: Path, value: float) -> None:
    found = predicted(tmp_path, test_split, value=value)
    assert np.isnan(found.logits).all()
    assert found.loss is None
    scored = score(found.labels, found.classes, CLASSES, COUNT)
    assert digits(found.classes) == "0" * COUNT
    assert scored["correct"] == int((found.labels == 0).sum())
    assert scored["at_chance"] is True


def test_one_nan_is_taken_for_the_largest() -> None:
    """As torch.argmax takes it, by which the history's accuracies are counted."""
    logits = np.array([[0.1, np.nan, 9.0], [0.1, 0.2, 9.0], [np.nan, np.nan, 0.0]], np.float32)
    found = LabelledPredictions(logits, np.zeros(3, np.uint8), None, {}, np.zeros((3, 1, 2, 2), np.uint8), np.arange(3))
    assert found.classes.tolist() == [1, 2, 0] == torch.from_numpy(logits).argmax(1).tolist()


def refused(folder: Path, description: dict[str, Any], test: Path, said: str) -> None:
    weights = written(folder, "resnet")
    with pytest.raises(CorruptFileError, match=said):
        predict_test(cell_of("resnet"), weights, trained_with(), description, test, COUNT)


def test_a_split_of_another_size_is_refused(tmp_path: Path, test_split: Path) -> None:
    refused(tmp_path, described(test_split, TOTAL + 1), test_split, "30 images; expected 31")


@pytest.mark.parametrize("name", ["images", "labels"])
def test_other_arrays_than_the_description_names_are_refused(tmp_path: Path, test_split: Path, name: str) -> None:
    """As when test labels are replaced by predictions."""
    description = described(test_split)
    array = np.load(test_split / f"{name}.npy")
    np.save(test_split / f"{name}.npy", array[::-1])
    refused(tmp_path, description, test_split, rf"{name}\.npy: sha256 .* as dataset\.json says")
