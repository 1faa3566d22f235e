"""Images in memory: standardised as numpy does it, resized as Pillow does it, in batches that leave none over."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from stages.core.errors import CorruptFileError, MissingFileError
from stages.engine.images import Labelled, Standardise, batches, evenly_spread, load
from stages.engine.numerics import Numerics

pytestmark = pytest.mark.usefixtures("torch_settings")

CPU = torch.device("cpu")
FLOAT32, BFLOAT16 = Numerics(CPU, torch.float32, 1), Numerics(CPU, torch.bfloat16, 1)
MEAN, STD = [0.49, 0.3, 0.1], [0.25, 0.2, 0.3]


def pictures(count: int, channels: int, size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, channels, size, size), np.uint8)


def standardise(channels: int, size: int, numerics: Numerics = FLOAT32) -> Standardise:
    return Standardise.of({"mean": MEAN[:channels], "std": STD[:channels]}, size, numerics)


def standardised(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    shape, channels = (1, -1, 1, 1), images.shape[1]
    mean, std = np.reshape(MEAN[:channels], shape), np.reshape(STD[:channels], shape)
    return (images.astype(np.float64) / 255 - mean) / std


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_standardised_by_channel(channels: int) -> None:
    images = pictures(4, channels, 8)
    found = standardise(channels, 8)(torch.from_numpy(images))
    assert (found.dtype, found.shape) == (torch.float32, (4, channels, 8, 8))
    np.testing.assert_allclose(found.numpy(), standardised(images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "target"), [(28, 32), (28, 64), (32, 96), (32, 16), (28, 21)])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_resized_as_pillow_resizes_them(channels: int, size: int, target: int) -> None:
    """Bilinear, pixel centres at halves, and smoothed when smaller: Pillow's BILINEAR on float pixels."""
    images = pictures(2, channels, size)
    found = standardise(channels, target)(torch.from_numpy(images))
    assert found.shape == (2, channels, target, target)
    for image, expected in zip(found, standardised(images), strict=True):
        for channel, pixels in zip(image, expected, strict=True):
            resized = Image.fromarray(pixels.astype(np.float32)).resize((target, target), Image.Resampling.BILINEAR)
            np.testing.assert_allclose(channel.numpy(), np.asarray(resized), atol=1e-5)


@pytest.mark.parametrize("numerics", [FLOAT32, BFLOAT16])
@pytest.mark.parametrize("target", [8, 16])
def test_batches_come_in_the_format_of_the_numerics_channels_last(numerics: Numerics, target: int) -> None:
    found = standardise(3, target, numerics)(torch.from_numpy(pictures(4, 3, 8)))
    assert found.dtype == numerics.dtype
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_an_image_does_not_depend_on_its_batch() -> None:
    images = torch.from_numpy(pictures(5, 3, 8))
    together = standardise(3, 16)(images)
    alone = torch.cat([standardise(3, 16)(images[i : i + 1]) for i in range(5)])
    assert torch.equal(together, alone)


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 4, [3]), (50000, 128, [128] * 390 + [80]), (1, 1, [1])],
)
def test_batches_keep_the_last_smaller_one(count: int, size: int, lengths: list[int]) -> None:
    found = list(batches(count, size))
    assert [part.stop - part.start for part in found] == lengths
    assert [index for part in found for index in range(part.start, part.stop)] == list(range(count))


@pytest.mark.parametrize(("total", "count"), [(10000, 1000), (10000, 3), (10000, 9999), (10, 10), (7, 5)])
def test_a_subset_is_spread_evenly(total: int, count: int) -> None:
    found = evenly_spread(total, count)
    gaps = np.diff(found)
    assert (len(found), found[0]) == (count, 0)
    assert total - found[-1] <= -(-total // count)
    assert (gaps >= total // count).all()
    assert (gaps <= -(-total // count)).all()


def test_all_images_are_all() -> None:
    assert evenly_spread(7, "all").tolist() == list(range(7))


def labelled(count: int) -> Labelled:
    return Labelled(torch.arange(count * 4, dtype=torch.uint8).view(count, 1, 2, 2), torch.arange(count))


def test_parts_keep_images_and_labels_together() -> None:
    whole = labelled(6)
    assert len(whole) == 6
    assert whole.first("all") is whole
    first, taken = whole.first(2), whole.take(np.array([5, 0]))
    assert (first.labels.tolist(), taken.labels.tolist()) == ([0, 1], [5, 0])
    for part in (first, taken):
        assert torch.equal(part.images, whole.images[part.labels])


def stored(folder: Path, **arrays: NDArray[Any]) -> dict[str, str]:
    """Write arrays as .npy; returns the sha256 of each file by its name."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.npy")}


def loaded(folder: Path, sha256: dict[str, str], count: Any) -> Labelled:
    return load(folder / "a.npy", folder / "b.npy", sha256, CPU, count)


@pytest.mark.parametrize("count", [3, "all"])
def test_arrays_are_read_up_to_a_count(tmp_path: Path, count: Any) -> None:
    images, labels = pictures(5, 3, 4), np.array([9, 8, 7, 6, 5], np.uint8)
    found = loaded(tmp_path, stored(tmp_path, a=images, b=labels), count)
    stop = 5 if count == "all" else count
    assert (found.images.dtype, found.labels.dtype) == (torch.uint8, torch.int64)
    assert np.array_equal(found.images.numpy(), images[:stop])
    assert found.labels.tolist() == labels[:stop].tolist()


def test_a_missing_array_names_the_stage_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"train_images.npy is missing; it is made by: dvc repro preprocess"):
        load(tmp_path / "train_images.npy", tmp_path / "train_labels.npy", {}, CPU, "all")


@pytest.mark.parametrize(
    ("images", "labels", "count", "said"),
    [
        (3, 5, 4, "3 images, 4 labels; expected 4 of each"),
        (3, 5, "all", "3 images, 5 labels; expected all of each"),
        (5, 4, 5, "5 images, 4 labels; expected 5 of each"),
        (3, 3, 4, "3 images, 3 labels; expected 4 of each"),
    ],
)
def test_fewer_images_than_were_asked_for_are_refused(
    tmp_path: Path, images: int, labels: int, count: Any, said: str
) -> None:
    """As when an augmented run of a large budget is pointed at the arrays of a small one."""
    sha256 = stored(tmp_path, a=pictures(images, 1, 4), b=np.zeros(labels, np.uint8))
    with pytest.raises(CorruptFileError, match=rf"a\.npy: {said}$"):
        loaded(tmp_path, sha256, count)


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_array_of_another_hash_is_refused(tmp_path: Path, name: str) -> None:
    """One pixel or one label that is another, of the same shape; and an array that the description does not name."""
    arrays = {"a": pictures(3, 1, 4), "b": np.array([0, 1, 2], np.uint8)}
    sha256 = stored(tmp_path, **arrays)
    arrays[name].flat[-1] ^= 1
    found = stored(tmp_path, **arrays)[name]
    with pytest.raises(CorruptFileError) as raised:
        loaded(tmp_path, sha256, "all")
    path = tmp_path / f"{name}.npy"
    assert str(raised.value) == f"{path}: sha256 {found}; expected {sha256[name]}, as dataset.json says"
    with pytest.raises(CorruptFileError):
        loaded(tmp_path, {key: value for key, value in sha256.items() if key != name}, "all")


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    objects = np.array([{}], dtype=object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    sha256 = stored(tmp_path, b=np.zeros(1, np.uint8))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        loaded(tmp_path, sha256, "all")
