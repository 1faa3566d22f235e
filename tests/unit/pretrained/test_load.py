"""A trained network in three lines: it predicts what the evaluation stored, and loads no other weights."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from stages.config.settings import Cell
from stages.core.errors import CorruptFileError, MissingFileError, ParamError
from stages.core.files import file_hash
from stages.engine.network import network_of
from stages.evaluate.prediction import predict_test
from stages.pretrained import Pretrained, load
from stages.records.digits import digits, digits_array
from stages.records.evaluation import Evaluation
from tests.unit.report.conftest import Project

pytestmark = pytest.mark.usefixtures("torch_settings")
CELLS = {"mnist": "mnist/googlenet-adam", "cifar10": "cifar10/resnet18-adam"}
IMAGES = 12


@dataclass
class Trained:
    """A project with one result, its weights, and the pictures that it was tested on."""

    project: Project
    cell: str
    weights: Path
    pictures: np.ndarray

    def load(self, **options: Any) -> Pretrained:
        return load(self.cell, project=self.project.folder, **options)


@pytest.fixture(params=CELLS)
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> Trained:
    project, cell = Project(tmp_path), CELLS[request.param]
    project.cells = tmp_path / "reports/quick/cells"
    key = project.params.find(cell)[0]
    result = Evaluation.read(project.put(key, 0, "quick"), "evaluate")
    weights = tmp_path / result.run_folder[0] / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    torch.manual_seed(0)
    settings, data = Cell.of(result.run.config.cell.model_dump()), result.run.data.content()
    save_file(network_of(settings, data).state_dict(), weights)
    pictures = _tested(tmp_path / "test", data)
    found = predict_test(settings, weights, {"device": "cpu", "threads": 1}, data, tmp_path / "test", "all")
    changed: dict[str, Any] = {"predictions": digits(found.classes), "labels": digits(found.labels)}
    changed["run__sha256__weights.safetensors"] = file_hash(weights, "sha256")
    project.change(cell, 0, **changed)
    return Trained(project, cell, weights, pictures)


def _tested(folder: Path, data: dict[str, Any]) -> np.ndarray:
    """Test arrays of noise, and `data` with their hashes."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    images = noise.integers(0, 256, (IMAGES, data["channels"], data["size"], data["size"]), np.uint8)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", (np.arange(IMAGES) % 10).astype(np.uint8))
    data["sha256"] |= {f"test_{name}": file_hash(folder / f"{name}.npy", "sha256") for name in ("images", "labels")}
    data["images"]["test"] = IMAGES
    return images


def as_picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0))


def test_it_predicts_what_the_evaluation_stored(trained: Trained) -> None:
    network = trained.load()
    with torch.inference_mode():
        inputs = torch.stack([network.transform(as_picture(pixels)) for pixels in trained.pictures])
        predicted = network.model(inputs).argmax(1).numpy()
    assert predicted.tolist() == digits_array(network.result.predictions).tolist()
    likeliest = next(iter(network.probabilities(as_picture(trained.pictures[0]))))
    assert likeliest == network.classes[predicted[0]]


def test_a_picture_of_any_size_and_mode_is_taken(trained: Trained) -> None:
    network = trained.load(seed=0, budget="quick")
    shape = network.transform(as_picture(trained.pictures[0])).shape
    assert network.transform(Image.new("RGBA", (90, 50), "red")).shape == shape
    assert sum(network.probabilities(Image.new("L", (7, 9))).values()) == pytest.approx(1)


def test_other_weights_are_refused(trained: Trained) -> None:
    trained.weights.write_bytes(trained.weights.read_bytes() + b"\0")
    with pytest.raises(CorruptFileError, match=r"sha256 [0-9a-f]{64}; expected [0-9a-f]{64}, with which evaluate-"):
        trained.load()


def test_what_is_missing_is_named_with_its_command(trained: Trained) -> None:
    trained.weights.unlink()
    with pytest.raises(MissingFileError, match=r"weights\.safetensors .*: dvc pull data/runs/.* dvc repro train-"):
        trained.load()
    with pytest.raises(ParamError, match="seed: 5 is not allowed; allowed: one of 0"):
        trained.load(seed=5)
    with pytest.raises(ParamError, match="cell"):
        load("mnist/alexnet", project=trained.project.folder)
    shutil.rmtree(trained.project.cells)
    with pytest.raises(MissingFileError, match=r"-s0\.json .*: with budget: paper in params.yaml, dvc repro evaluate-"):
        trained.load(budget="paper")
