"""Other forms of CIFAR10, made small, against records put together byte by byte."""

import json
import pickle
import shutil
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.errors import StageError
from stages.download.catalogue import sources_for
from stages.download.cifar10 import LABELS, MEMBERS, SHEETS, cifar10_from_sheets, records_of_batch
from stages.records.canonical import CANONICAL

IMAGES = 3  # in each small sheet


def write_package(folder: Path) -> dict[str, np.ndarray]:
    """A small package in `folder`; its pixels (images, 1024, 3) by sheet."""
    generator = np.random.default_rng(0)
    pixels = {sheet: generator.integers(0, 256, (IMAGES, 1024, 3), dtype=np.uint8) for sheet in SHEETS}
    for sheet, content in pixels.items():
        Image.fromarray(content).save(folder / f"{sheet}.png")
    (folder / LABELS[0]).write_text(json.dumps([number % 10 for number in range(IMAGES * 5)]))
    (folder / LABELS[1]).write_text("[9, 0, 5]")
    return pixels


def binary(pixels: np.ndarray, labels: list[int]) -> bytes:
    """The binary version as its description has it: label, red plane, green plane, blue plane, image after image."""
    records = []
    for image, label in zip(pixels, labels, strict=True):
        records.append(bytes([label]) + b"".join(bytes(image[:, channel]) for channel in range(3)))
    return b"".join(records)


def test_every_batch_gets_its_own_pixels_and_labels(tmp_path: Path) -> None:
    pixels = write_package(tmp_path)
    into = tmp_path / "into"
    into.mkdir()
    cifar10_from_sheets(tmp_path, into)
    assert (into / "data_batch_1.bin").read_bytes() == binary(pixels["data_batch_1"], [0, 1, 2])
    assert (into / "data_batch_5.bin").read_bytes() == binary(pixels["data_batch_5"], [2, 3, 4])
    assert (into / "test_batch.bin").read_bytes() == binary(pixels["test_batch"], [9, 0, 5])
    assert {path.name for path in into.iterdir()} == {spec.name for spec in CANONICAL["cifar10"]}
    assert {path.name for path in tmp_path.iterdir()} == {*MEMBERS, "into"}


def python2_pickle(planes: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2's cPickle wrote it: its strings are bytes, the array's content is one of them."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"M" + struct.pack("<H", value)

    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\nndarray\nq\x06K\x00\x85" + text(b"b") + b"\x87Rq\x07"
    dtype = b"cnumpy\ndtype\nq\x08" + text(b"u1") + b"K\x00K\x01\x87Rq\x09(K\x03" + text(b"|") + b"NNN"
    dtype += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    raw = planes.tobytes()
    state = b"(K\x01" + number(planes.shape[0]) + number(planes.shape[1]) + b"\x86" + dtype
    state += b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    listed = b"]q\x03(" + b"".join(map(number, labels[:2])) + b"e(" + b"".join(map(number, labels[2:])) + b"e"
    names = b"]q\x0a(" + b"".join(text(b"frog_s_%06d.png" % label) for label in labels) + b"e"
    head = b"\x80\x02}q\x01(" + text(b"batch_label") + b"q\x02" + text(b"training batch 1 of 5")
    return head + text(b"labels") + listed + text(b"data") + array + state + text(b"filenames") + names + b"u."


def test_the_python_version_is_read_and_not_unpickled(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (IMAGES, 1024, 3), dtype=np.uint8)
    planes = np.ascontiguousarray(pixels.transpose(0, 2, 1)).reshape(IMAGES, 3072)
    (tmp_path / "data_batch_1").write_bytes(python2_pickle(planes, [7, 0, 9]))
    assert records_of_batch(tmp_path / "data_batch_1") == binary(pixels, [7, 0, 9])


def test_the_python_version_above_is_one() -> None:
    """As torchvision reads it."""
    planes = np.arange(IMAGES * 3072, dtype=np.uint8).reshape(IMAGES, 3072)
    read = pickle.loads(python2_pickle(planes, [7, 0, 9]), encoding="latin1")  # noqa: S301
    assert read["labels"] == [7, 0, 9]
    assert np.array_equal(read["data"], planes)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>no</html>", pickle.dumps({"labels": [1], "data": b"short"}), pickle.dumps([1, 2])[:-1]],
)
def test_what_is_no_batch_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data_batch_1").write_bytes(content)
    with pytest.raises(StageError, match="data_batch_1 is no batch of CIFAR10's Python version"):
        records_of_batch(tmp_path / "data_batch_1")


def test_a_pickle_that_would_run_something_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"cos\nmkdir\n(S'" + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(StageError):
        records_of_batch(tmp_path / "data_batch_1")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["", "cifar10"])
@pytest.mark.parametrize("form", ["folder", "archive", "both"])
def test_folders_of_torchvision(tmp_path: Path, place: str, form: str) -> None:
    """`cifar-10-batches-py`, the archive it is unpacked from, or both, and then the archive is not opened."""
    batches, canonical = tmp_path / place / "cifar-10-batches-py", {}
    batches.mkdir(parents=True)
    for label, sheet in enumerate(SHEETS):
        planes = np.full((IMAGES, 3072), label, np.uint8)
        (batches / sheet).write_bytes(python2_pickle(planes, [label] * IMAGES))
        canonical[f"{sheet}.bin"] = bytes([label] * 3073 * IMAGES)
    archive = tmp_path / place / "cifar-10-python.tar.gz"
    if form == "archive":
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(batches, batches.name)
        shutil.rmtree(batches)
    if form == "both":
        archive.write_bytes(b"broken")
    into, scratch = tmp_path / "into", tmp_path / "scratch"
    into.mkdir()
    scratch.mkdir()
    [source] = sources_for("cifar10", [], tmp_path)
    source.fetch(CANONICAL["cifar10"], into, scratch)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == canonical


def test_folder_of_torchvision_with_mnist(tmp_path: Path) -> None:
    raw, into, scratch = tmp_path / "MNIST" / "raw", tmp_path / "into", tmp_path / "scratch"
    for folder in (raw, into, scratch):
        folder.mkdir(parents=True)
    names = [spec.name for spec in CANONICAL["mnist"]]
    for name in names:
        (raw / name).write_text(name)
    for given in (tmp_path, tmp_path / "MNIST", raw):
        [source] = sources_for("mnist", [], given)
        source.fetch(CANONICAL["mnist"], into, scratch)
        assert {path.name: path.read_text() for path in into.iterdir()} == {name: name for name in names}
        shutil.rmtree(into)
        into.mkdir()
