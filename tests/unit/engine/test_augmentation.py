"""The augmented copy: each image from its own seed, however the work is divided, and really another image."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from stages.config.params import Augmentation, load_params
from stages.engine import augmentation
from stages.engine.augmentation import augment, augment_chunk, image_seed, transforms

SHIPPED = load_params(Path(__file__).resolve().parents[3] / "params.yaml").datasets.mnist.augmentation
OFF = {"rotation_degrees": 0.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}
NOTHING = SHIPPED.model_copy(update={**OFF, "flip_probability": 0.0})


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pictures(count: int, channels: int = 3, size: int = 12) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, channels, size, size), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_copies_are_other_images_of_the_same_form(channels: int) -> None:
    images = pictures(30, channels)
    before = images.copy()
    copies = augment_chunk(images, 0, SHIPPED)
    assert (copies.shape, copies.dtype) == (images.shape, np.uint8)
    assert np.array_equal(images, before)
    assert all(not np.array_equal(copy, image) for copy, image in zip(copies, images, strict=True))
    same = np.repeat(images[:1], 20, axis=0)  # one image twenty times: each place has draws of its own
    assert len({copy.tobytes() for copy in augment_chunk(same, 0, SHIPPED)}) == 20


def test_the_copies_do_not_depend_on_chunks() -> None:
    images = pictures(17)
    whole = augment_chunk(images, 0, SHIPPED)
    for size in (1, 5, 16):
        parts = [augment_chunk(images[i : i + size], i, SHIPPED) for i in range(0, 17, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_the_copies_do_not_depend_on_processes_or_on_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(11)
    whole = augment_chunk(images, 0, SHIPPED)
    monkeypatch.setattr(augmentation, "cpu_count", lambda: 2)
    monkeypatch.setattr(augmentation, "CHUNK", 3)
    torch.manual_seed(1)
    chunks = list(augment(images, SHIPPED))
    assert [len(part) for part in chunks] == [3, 3, 3, 2]
    assert np.array_equal(np.concatenate(chunks), whole)  # made in this process, in one go


def test_another_seed_gives_other_copies() -> None:
    images = pictures(3)
    other = SHIPPED.model_copy(update={"seed": SHIPPED.seed + 1})
    assert not np.array_equal(augment_chunk(images, 0, SHIPPED), augment_chunk(images, 0, other))


def test_seeds_are_distinct_and_fit_torch() -> None:
    seeds = {image_seed(seed, index) for seed in range(3) for index in range(1000)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_without_settings_nothing_changes() -> None:
    images = pictures(4)
    assert np.array_equal(augment_chunk(images, 0, NOTHING), images)


def test_a_sure_flip_is_left_to_right() -> None:
    images = pictures(4)
    flipped = augment_chunk(images, 0, NOTHING.model_copy(update={"flip_probability": 1.0}))
    assert np.array_equal(flipped, images[..., ::-1])


def test_half_of_the_images_are_flipped() -> None:
    images = pictures(400, 1, 4)
    copies = augment_chunk(images, 0, NOTHING.model_copy(update={"flip_probability": 0.5}))
    flipped = sum(np.array_equal(copy, image[..., ::-1]) for copy, image in zip(copies, images, strict=True))
    kept = sum(np.array_equal(copy, image) for copy, image in zip(copies, images, strict=True))
    assert flipped + kept == 400
    assert 150 < flipped < 250


@pytest.mark.parametrize(
    ("setting", "value", "effect", "low", "high"),
    [
        ("rotation_degrees", 15.0, F.rotate, -15.0, 15.0),
        ("brightness", 0.2, F.adjust_brightness, 0.8, 1.2),
        ("contrast", 0.2, F.adjust_contrast, 0.8, 1.2),
        ("saturation", 0.2, F.adjust_saturation, 0.8, 1.2),
        ("hue", 0.05, F.adjust_hue, -0.05, 0.05),
    ],
)
def test_each_setting_is_the_range_of_its_transform(
    setting: str, value: float, effect: Callable[..., torch.Tensor], low: float, high: float
) -> None:
    """The only transform that is on turns out to be `effect` with draws that fill [low, high]."""
    drawn = []
    for step in transforms(NOTHING.model_copy(update={setting: value})).transforms:  # type: ignore[attr-defined]
        kind = {"rotation_degrees": "degrees"}.get(setting, setting)
        if getattr(step, kind, None) is not None:
            drawn.append([float(bound) for bound in getattr(step, kind)])
    assert drawn == [pytest.approx([low, high])]
    image = torch.from_numpy(pictures(1, 3, 16)[0])
    copies = augment_chunk(np.stack([image.numpy()] * 40), 0, NOTHING.model_copy(update={setting: value}))
    steps = np.linspace(low, high, 201)
    reached = np.stack([effect(image, float(step)).numpy() for step in steps]).astype(int)
    nearest = [np.abs(reached - copy).mean(axis=(1, 2, 3)).argmin() for copy in copies.astype(int)]
    assert min(nearest) < 40
    assert max(nearest) > 160


def test_the_order_is_the_paper_s() -> None:
    steps = transforms(Augmentation.model_validate(SHIPPED.model_dump())).transforms  # type: ignore[attr-defined]
    assert [type(step).__name__ for step in steps] == ["RandomRotation", "ColorJitter", "RandomHorizontalFlip"]
