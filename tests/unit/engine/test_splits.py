"""What a training sees: its share of the arrays, and the copies behind the images."""

from pathlib import Path

import numpy as np
import pytest
import torch

from stages.config.params import load_params
from stages.config.settings import Run
from stages.core.errors import CorruptFileError
from stages.engine.splits import Splits

ROOT = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")


def run_of(augment: bool, images: int | str) -> Run:
    """A run that takes some of ten images in batches of four."""
    config = load_params(ROOT / "params.yaml").run("mnist/resnet18", "quick", 0).model_dump()
    config["cell"] |= {"augment": augment, "batch_size": 4}
    return Run.model_validate({**config, "images": images, "validation_images": 3, "sample_images": 2})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten images of value 0 to 9, copies of value 100 to 109, five validation images of value 200 to 204."""
    for name, first, count in (("train", 0, 10), ("augmented", 100, 10), ("validation", 200, 5)):
        values = np.arange(first, first + count, dtype=np.uint8)
        np.save(tmp_path / f"{name}_images.npy", np.broadcast_to(values[:, None, None, None], (count, 1, 2, 2)))
        if name != "augmented":
            np.save(tmp_path / f"{name}_labels.npy", values % 7)
    return tmp_path


def values(images: torch.Tensor) -> list[int]:
    return images[:, 0, 0, 0].tolist()


def test_a_plain_run_has_the_first_images(data: Path) -> None:
    run = run_of(augment=False, images=6)
    splits = Splits.of(run, data, CPU)
    assert values(splits.train.images) == list(range(6))
    assert splits.train.labels.tolist() == list(range(6))
    assert values(splits.sample.images) == [0, 1]
    assert values(splits.validation.images) == [200, 201, 202]
    assert splits.counts(run) == {"train": 6, "augmented": 0, "validation": 3, "sample": 2, "steps_per_epoch": 2}


def test_an_augmented_run_has_the_copies_behind_them_with_the_same_labels(data: Path) -> None:
    """The sample, whose accuracy is reported, is of plain images (the paper's logs)."""
    run = run_of(augment=True, images=5)
    splits = Splits.of(run, data, CPU)
    assert values(splits.train.images) == [*range(5), *range(100, 105)]
    assert splits.train.labels.tolist() == [*range(5), *range(5)]
    assert values(splits.sample.images) == [0, 1]
    assert splits.counts(run) == {"train": 5, "augmented": 5, "validation": 3, "sample": 2, "steps_per_epoch": 3}


def test_too_few_copies_are_refused(data: Path) -> None:
    np.save(data / "augmented_images.npy", np.zeros((4, 1, 2, 2), np.uint8))
    with pytest.raises(CorruptFileError, match=r"augmented_images\.npy: 4 images, 5 labels; expected 5 of each"):
        Splits.of(run_of(augment=True, images=5), data, CPU)
