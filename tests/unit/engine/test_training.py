"""One training from settings and arrays to weights: the parts put together, resumed, refused; and its size."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from stages.config.settings import Run
from stages.core.errors import CorruptFileError
from stages.engine.images import Standardise
from stages.engine.loop import EpochResult, Trainer, train
from stages.engine.network import parameter_count
from stages.engine.splits import Splits
from stages.engine.training import TrainingSession, network_size
from tests.unit.engine.settings import FAMILIES, IMAGES, cell_of, numerics_of, run_of
from tests.unit.engine.test_augmentation import AUGMENTATION
from tests.unit.engine.test_loop import new_model

pytestmark = pytest.mark.usefixtures("torch_settings")

CLASSES = ["0", "1", "2"]
HERE, THERE = {"processor": "one", "cores": 2}, {"processor": "another", "cores": 8}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder, random = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    for part, count in (("train", IMAGES), ("augmented", IMAGES), ("validation", 4)):
        np.save(folder / f"{part}_images.npy", random.integers(0, 256, (count, 1, 28, 28), np.uint8))
        if part != "augmented":
            np.save(folder / f"{part}_labels.npy", random.integers(0, 3, count, np.uint8))
    return folder


def described(data: Path) -> dict[str, Any]:
    return {
        "channels": 1,
        "classes": CLASSES,
        "mean": [0.4],
        "std": [0.3],
        "sha256": {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in data.glob("*.npy")},
        "made_from": {"settings": {"augmentation": AUGMENTATION._asdict()}},
    }


def training_of(run: Run, data: Path, machine: dict[str, Any] = HERE, settings: Any = "same") -> TrainingSession:
    return TrainingSession(
        run,
        described(data),
        data,
        data.with_name("s0"),
        device="cpu",
        machine=machine,
        identity_of=lambda numerics: {"settings": settings, "numerics": numerics},
    )


def finish(training: TrainingSession, epochs: int | None = None) -> str:
    """Train to the end, or break off after some epochs."""

    def on_epoch(epoch: EpochResult) -> None:
        if len(training.epochs) == epochs:
            raise KeyboardInterrupt

    try:
        return training.train(on_epoch, lambda images: None)
    except KeyboardInterrupt:
        return "broken off"


def resnet(epochs: int = 1, **changes: Any) -> Run:
    return run_of(cell_of("resnet", input_size=16, **changes), epochs=epochs)


@pytest.mark.parametrize("augment", ["none", "append", "fresh"])
def test_it_is_the_loop_on_the_splits_from_the_seeds_weights(augment: str, data: Path) -> None:
    run, description = resnet(2, augment=augment), described(data)
    training = training_of(run, data)
    seen: list[EpochResult] = []
    steps: list[int] = []
    assert training.train(seen.append, steps.append) == "finished"
    numerics = numerics_of(run)
    splits = Splits.of(run, description, data, numerics.device)
    trainer = Trainer(new_model(run), run, Standardise.of(description, 16, numerics), numerics)
    epochs: list[EpochResult] = []
    assert train(trainer, splits, [], epochs.append, lambda images: None) == "finished"
    assert save(training.weights()) == save(trainer.weights())
    assert training.history() == [epoch.metrics for epoch in epochs]
    assert seen == training.epochs
    images = 2 * IMAGES if augment == "append" else IMAGES
    assert (sum(steps), training.images_per_epoch) == (2 * images, images)
    assert training.counts == splits.counts(run)
    assert training.network == network_size(run, description)
    assert training.numerics == numerics.describe()
    assert all(0 < epoch.cpu_seconds < 2 * epoch.seconds + 1 for epoch in seen)
    assert seen[-1].parameters_sha256 == trainer.parameters_sha256()
    predictions, labels = training.predict_validation()
    assert labels.tolist() == splits.validation.labels.tolist()
    assert (predictions == labels).mean() == training.history()[-1]["validation_accuracy"]
    assert training.images_per_second() == 2 * images / sum(epoch.train_seconds for epoch in seen)


def test_another_kind_of_augmentation_gives_other_weights(data: Path) -> None:
    found = set()
    for augment in ("none", "append", "fresh"):
        training = training_of(resnet(augment=augment), data)
        finish(training)
        training.checkpoint.remove()
        found.add(save(training.weights()))
    assert len(found) == 3


@pytest.mark.parametrize("augment", ["none", "fresh"])
def test_a_broken_training_goes_on_to_the_same_bits_on_another_machine(augment: str, data: Path) -> None:
    """The checkpoint is there when an epoch is said to be over; each epoch knows its machine."""
    run = resnet(3, augment=augment)
    unbroken = training_of(run, data)
    finish(unbroken)
    unbroken.checkpoint.remove()
    assert unbroken.machines == [HERE]
    assert (unbroken.resumed_after, [epoch.machine for epoch in unbroken.epochs]) == (0, [0, 0, 0])

    assert finish(training_of(run, data), 1) == "broken off"
    second = training_of(run, data, THERE)
    assert (second.resumed_after, len(second.epochs)) == (1, 1)
    assert finish(second, 2) == "broken off"
    third = training_of(run, data)
    assert (third.resumed_after, third.machines) == (2, [HERE, THERE])
    assert finish(third) == "finished"
    assert [epoch.machine for epoch in third.epochs] == [0, 1, 0]
    hashes = [[epoch.parameters_sha256 for epoch in training.epochs] for training in (unbroken, third)]
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == 3
    assert save(third.weights()) == save(unbroken.weights())
    assert third.history() == unbroken.history()


def test_a_checkpoint_of_another_identity_is_not_used(data: Path) -> None:
    run = resnet(2)
    finish(training_of(run, data), 1)
    other = training_of(run, data, settings="another")
    assert (other.resumed_after, other.epochs, other.machines) == (0, [], [HERE])


def test_arrays_that_the_description_does_not_name_are_refused(data: Path) -> None:
    description = described(data)
    np.save(data / "train_labels.npy", np.zeros(IMAGES, np.uint8))
    with pytest.raises(CorruptFileError, match=r"train_labels\.npy: sha256"):
        TrainingSession(
            resnet(), description, data, data.with_name("s0"), device="cpu", machine=HERE, identity_of=lambda found: {}
        )


@pytest.mark.parametrize("family", FAMILIES)
def test_the_size_of_a_network_needs_no_memory_and_no_random_numbers(family: str) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    run = run_of(cell_of(family))
    found = network_size(run, {"channels": 1, "classes": CLASSES})
    assert torch.equal(torch.get_rng_state(), state)
    assert found["parameters"] == parameter_count(new_model(run))
    assert 1e6 < found["multiply_adds"] < 1e9
