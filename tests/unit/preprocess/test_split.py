"""The split is the paper's in size, a partition, and the seed's alone; statistics are those of exact arithmetic."""

from pathlib import Path

import numpy as np
import pytest

from stages.config.loading import load_params
from stages.config.schema import DATASETS
from stages.core.errors import ParamError
from stages.preprocess.split import channel_statistics, permutation, split

PARAMS = load_params(Path(__file__).resolve().parents[3] / "params.yaml")
IMAGES = {"mnist": 60000, "cifar10": 50000}  # of the official training files
# Steps per epoch in the paper's logs, with the batch size that belongs to them.
STEPS = {"mnist": {128: 391, 64: 782}, "cifar10": {32: 1407, 64: 704, 128: 352}}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_shipped_split_has_the_sizes_of_the_paper_s_logs(dataset: str) -> None:
    settings = PARAMS.datasets.of(dataset)
    train, validation = split(IMAGES[dataset], settings.train_images, settings.validation_images, settings.split_seed)
    assert (len(train), len(validation)) == {"mnist": (50000, 10000), "cifar10": (45000, 5000)}[dataset]
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(IMAGES[dataset]))
    for batch, steps in STEPS[dataset].items():
        assert -(-len(train) // batch) == steps


def test_the_split_depends_on_the_seed_alone() -> None:
    first, again, other = split(100, 80, 20, 7), split(100, 80, 20, 7), split(100, 80, 20, 8)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert set(first[1].tolist()) != set(other[1].tolist())
    assert not np.array_equal(first[0], np.sort(first[0]))  # in random order


def test_the_permutation_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another PyTorch that drew another order would silently change every number; so would global random state."""
    np.random.seed(1)
    assert permutation(10, 0).tolist() == KNOWN_ORDER
    assert permutation(10, 0).dtype == np.int64


KNOWN_ORDER = [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]


@pytest.mark.parametrize(("train", "validation"), [(80, 19), (80, 21), (100, 1)])
def test_a_split_that_leaves_images_over_is_refused(train: int, validation: int) -> None:
    message = f"train_images \\+ validation_images: {train + validation} is not allowed; allowed: 100, the images there"
    with pytest.raises(ParamError, match=message):
        split(100, train, validation, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_numpy_s_in_float64(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, channels, 9, 7), np.uint8)
    images[:, 0] //= 3  # channels unlike each other
    mean, std = channel_statistics(images)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_allclose(mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, scaled.std((0, 2, 3)), rtol=1e-12)


def test_statistics_do_not_depend_on_the_order_of_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), np.uint8)
    assert channel_statistics(images) == channel_statistics(images[::-1])


@pytest.mark.parametrize("value", [0, 7, 255])
def test_one_value_has_no_deviation(value: int) -> None:
    assert channel_statistics(np.full((5, 1, 3, 3), value, np.uint8)) == ([value / 255], [0.0])


def test_sums_do_not_overflow() -> None:
    """A whole data set of white pixels with one black one: int32 sums of squares would wrap."""
    images = np.full((40000, 1, 32, 32), 255, np.uint8)
    images[0, 0, 0, 0] = 0
    mean, std = channel_statistics(images)
    share = 1 / images.size
    np.testing.assert_allclose(mean, [1 - share], rtol=1e-12)
    np.testing.assert_allclose(std, [(share * (1 - share)) ** 0.5], rtol=1e-12)
