"""What a training sees: its share of the arrays, with the copies behind the images or with images anew each epoch."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages.config.settings import Run
from stages.core.errors import CorruptFileError
from stages.engine.augmentation import augment
from stages.engine.splits import Splits
from tests.unit.engine.settings import cell_of, run_of
from tests.unit.engine.test_augmentation import AUGMENTATION

CPU = torch.device("cpu")


def run_with(augment: str, images: int | str) -> Run:
    """A run that takes some of ten images in batches of four."""
    return run_of(cell_of("resnet", augment=augment), images=images, validation_images=3, sample_images=2)


def described(data: Path) -> dict[str, Any]:
    """What dataset.json says of the arrays in a folder."""
    sha256 = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in data.glob("*.npy")}
    return {"sha256": sha256, "made_from": {"settings": {"augmentation": AUGMENTATION._asdict()}}}


def splits_of(run: Run, data: Path) -> Splits:
    return Splits.of(run, described(data), data, CPU)


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
    run = run_with("none", 6)
    splits = splits_of(run, data)
    assert values(splits.train.images) == list(range(6))
    assert splits.train.labels.tolist() == list(range(6))
    assert splits.of_epoch(2) is splits.train
    assert values(splits.sample.images) == [0, 1]
    assert values(splits.validation.images) == [200, 201, 202]
    assert splits.counts(run) == {"train": 6, "augmented": 0, "validation": 3, "sample": 2, "steps_per_epoch": 2}


def test_an_appending_run_has_the_copies_behind_them_with_the_same_labels(data: Path) -> None:
    """The sample, whose accuracy is reported, is of plain images (the paper's logs)."""
    run = run_with("append", 5)
    splits = splits_of(run, data)
    assert values(splits.train.images) == [*range(5), *range(100, 105)]
    assert splits.train.labels.tolist() == [*range(5), *range(5)]
    assert values(splits.sample.images) == [0, 1]
    assert splits.counts(run) == {"train": 5, "augmented": 5, "validation": 3, "sample": 2, "steps_per_epoch": 3}


def test_too_few_copies_are_refused(data: Path) -> None:
    np.save(data / "augmented_images.npy", np.zeros((4, 1, 2, 2), np.uint8))
    with pytest.raises(CorruptFileError, match=r"augmented_images\.npy: 4 images, 5 labels; expected 5 of each"):
        splits_of(run_with("append", 5), data)


def pictured(data: Path) -> None:
    """Real images in the place of the plain training images, and the copies that preprocess makes of them."""
    images = np.random.default_rng(0).integers(0, 256, (10, 1, 8, 8), np.uint8)
    np.save(data / "train_images.npy", images)
    np.save(data / "augmented_images.npy", augment(images, AUGMENTATION))


def test_a_fresh_run_has_images_anew_each_epoch(data: Path) -> None:
    """Nothing is appended; the sample is of plain images, and each epoch is known by its number alone."""
    pictured(data)
    run, plain = run_with("fresh", 6), torch.from_numpy(np.load(data / "train_images.npy"))
    splits = splits_of(run, data)
    assert splits.counts(run) == {"train": 6, "augmented": 0, "validation": 3, "sample": 2, "steps_per_epoch": 2}
    assert torch.equal(splits.sample.images, plain[:2])
    epochs = [splits.of_epoch(number) for number in (1, 2, 3)]
    assert len({epoch.images.numpy().tobytes() for epoch in (splits.train, *epochs)}) == 4
    torch.manual_seed(3)
    assert torch.equal(splits_of(run, data).of_epoch(3).images, epochs[2].images)
    for number, epoch in enumerate(epochs, 1):
        assert torch.equal(epoch.labels, splits.train.labels)
        assert np.array_equal(epoch.images.numpy(), augment(plain[:6].numpy(), AUGMENTATION, epoch=number))
        more = splits_of(run_with("fresh", 9), data).of_epoch(number)
        assert torch.equal(more.images[:6], epoch.images)
    assert torch.equal(splits.train.images, plain[:6])


def test_epoch_0_is_the_copy_that_is_appended(data: Path) -> None:
    pictured(data)
    appended = splits_of(run_with("append", 5), data).train.images[5:]
    assert torch.equal(splits_of(run_with("fresh", 5), data).of_epoch(0).images, appended)


def test_other_bytes_than_the_description_names_are_refused(data: Path) -> None:
    description = described(data)
    np.save(data / "validation_labels.npy", np.zeros(5, np.uint8))
    with pytest.raises(CorruptFileError, match=r"validation_labels\.npy: sha256"):
        Splits.of(run_with("none", 5), description, data, CPU)
