"""Transformed images: each from (seed, index, epoch), however the work is divided, and really another image."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional as F

from stages.engine.augmentation import Augmentation, augment, image_seed, transforms

AUGMENTATION = Augmentation(
    seed=0, rotation_degrees=15.0, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.05, flip_probability=0.5
)
NOTHING = Augmentation(AUGMENTATION.seed, *[0.0] * 6)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def pictures(count: int, channels: int = 3, size: int = 12) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, channels, size, size), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_copies_are_other_images_of_the_same_form(channels: int) -> None:
    images = pictures(30, channels)
    before = images.copy()
    copies = augment(images, AUGMENTATION)
    assert (copies.shape, copies.dtype) == (images.shape, np.uint8)
    assert np.array_equal(images, before)
    assert all(not np.array_equal(copy, image) for copy, image in zip(copies, images, strict=True))
    same = np.repeat(images[:1], 20, axis=0)  # one image twenty times: each place has draws of its own
    assert len({copy.tobytes() for copy in augment(same, AUGMENTATION)}) == 20


def test_the_copies_do_not_depend_on_chunks() -> None:
    images = pictures(17)
    whole = augment(images, AUGMENTATION)
    for size in (1, 5, 16):
        parts = [augment(images[i : i + size], AUGMENTATION, i) for i in range(0, 17, size)]
        assert np.array_equal(np.concatenate(parts), whole)


def test_the_copies_do_not_depend_on_random_state_and_leave_it() -> None:
    images = pictures(3)
    expected = augment(images, AUGMENTATION)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert np.array_equal(augment(images, AUGMENTATION), expected)
    assert torch.equal(torch.get_rng_state(), state)


def test_each_epoch_and_each_seed_has_other_copies_and_depends_on_nothing_before() -> None:
    images = pictures(6)
    epochs = [augment(images, AUGMENTATION, epoch=epoch) for epoch in (0, 1, 2, 10)]
    assert len({copies.tobytes() for copies in epochs}) == 4
    assert np.array_equal(augment(images, AUGMENTATION, epoch=2), epochs[2])
    assert np.array_equal(augment(images[4:], AUGMENTATION, 4, epoch=2), epochs[2][4:])
    seeds = [augment(images, AUGMENTATION, epoch=2, run_seed=seed) for seed in (0, 1)]
    assert np.array_equal(seeds[0], epochs[2])
    assert not np.array_equal(seeds[1], epochs[2])


def test_the_strength_is_read_from_the_description() -> None:
    description = {"made_from": {"settings": {"size": 28, "augmentation": AUGMENTATION._asdict()}}}
    assert Augmentation.of(description) == AUGMENTATION


def test_another_seed_gives_other_copies() -> None:
    images = pictures(3)
    other = AUGMENTATION._replace(seed=AUGMENTATION.seed + 1)
    assert not np.array_equal(augment(images, AUGMENTATION), augment(images, other))


def test_seeds_are_distinct_and_fit_torch() -> None:
    seeds = {image_seed(seed, i, epoch) for seed in range(3) for i in range(1000) for epoch in range(3)}
    assert len(seeds) == 9000
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_without_settings_nothing_changes() -> None:
    images = pictures(4)
    assert np.array_equal(augment(images, NOTHING), images)


def test_a_sure_flip_is_left_to_right() -> None:
    images = pictures(4)
    flipped = augment(images, NOTHING._replace(flip_probability=1.0))
    assert np.array_equal(flipped, images[..., ::-1])


def test_half_of_the_images_are_flipped() -> None:
    images = pictures(400, 1, 4)
    copies = augment(images, NOTHING._replace(flip_probability=0.5))
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
    for step in transforms(NOTHING._replace(**cast(dict[str, Any], {setting: value}))).transforms:  # type: ignore[attr-defined]
        kind = {"rotation_degrees": "degrees"}.get(setting, setting)
        if getattr(step, kind, None) is not None:
            drawn.append([float(bound) for bound in getattr(step, kind)])
    assert drawn == [pytest.approx([low, high])]
    image = torch.from_numpy(pictures(1, 3, 16)[0])
    copies = augment(np.stack([image.numpy()] * 40), NOTHING._replace(**cast(dict[str, Any], {setting: value})))
    steps = np.linspace(low, high, 201)
    reached = np.stack([effect(image, float(step)).numpy() for step in steps]).astype(int)
    nearest = [np.abs(reached - copy).mean(axis=(1, 2, 3)).argmin() for copy in copies.astype(int)]
    assert min(nearest) < 40
    assert max(nearest) > 160


def test_the_order_is_the_paper_s() -> None:
    steps = transforms(AUGMENTATION).transforms  # type: ignore[attr-defined]
    assert [type(step).__name__ for step in steps] == ["RandomRotation", "ColorJitter", "RandomHorizontalFlip"]


def test_seeds_are_known() -> None:
    """They are part of what makes a number; without an epoch they are those of the copies that are appended."""
    assert (
        image_seed(0, 5)
        == image_seed(0, 5, 0)
        == int(np.random.SeedSequence([0, 5]).generate_state(1, np.uint64)[0] >> 1)
    )
    assert [image_seed(0, 5, epoch) for epoch in range(3)] == KNOWN


KNOWN = [6102389744414414618, 2919813369553411398, 2676082015876268747]
