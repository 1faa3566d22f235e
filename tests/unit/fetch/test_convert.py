"""The npm package's PNG sheets and labels, made small, against records put together byte by byte."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.fetch import convert
from stages.fetch.errors import SourceError
from stages.records.canonical import CANONICAL

IMAGES = 3  # in each small sheet


def write_package(folder: Path) -> dict[str, np.ndarray]:
    """A small package in `folder`; give its pixels (images, 1024, 3) by sheet."""
    generator = np.random.default_rng(0)
    sheets = (*convert.TRAIN_SHEETS, convert.TEST_SHEET)
    pixels = {sheet: generator.integers(0, 256, (IMAGES, convert.PIXELS, 3), dtype=np.uint8) for sheet in sheets}
    for sheet, content in pixels.items():
        Image.fromarray(content).save(folder / f"{sheet}.png")
    (folder / convert.TRAIN_LABELS).write_text(json.dumps([number % 10 for number in range(IMAGES * 5)]))
    (folder / convert.TEST_LABELS).write_text("[9, 0, 5]")
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
    convert.cifar10_from_sheets(tmp_path, into, IMAGES)
    assert (into / "data_batch_1.bin").read_bytes() == binary(pixels["data_batch_1"], [0, 1, 2])
    assert (into / "data_batch_5.bin").read_bytes() == binary(pixels["data_batch_5"], [2, 3, 4])
    assert (into / "test_batch.bin").read_bytes() == binary(pixels["test_batch"], [9, 0, 5])
    assert {path.name for path in into.iterdir()} == {spec.name for spec in CANONICAL["cifar10"]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("test_batch.png", b"<html>no</html>"),
        ("test_lables.json", b"[9, 0"),
        ("test_lables.json", b"\xff\xfe\x00"),
        ("test_lables.json", b"[9, 0]"),
        ("test_lables.json", b"[9, 0, 10]"),
        ("test_lables.json", b"[9, 0, true]"),
        ("test_lables.json", b'{"9": 0}'),
    ],
)
def test_bad_content_is_refused_by_name(tmp_path: Path, name: str, content: bytes) -> None:
    write_package(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceError, match=name):
        convert.cifar10_from_sheets(tmp_path, tmp_path, IMAGES)


def test_truncated_sheet_is_refused(tmp_path: Path) -> None:
    write_package(tmp_path)
    sheet = tmp_path / "test_batch.png"
    sheet.write_bytes(sheet.read_bytes()[:-2000])
    with pytest.raises(SourceError, match=r"test_batch\.png cannot be read"):
        convert.read_sheet(sheet, IMAGES)


@pytest.mark.parametrize(
    ("size", "mode"), [((1024, 4), "RGB"), ((1023, 3), "RGB"), ((1024, 3), "RGBA"), ((1024, 3), "L")]
)
def test_sheet_of_another_shape_is_refused(tmp_path: Path, size: tuple[int, int], mode: str) -> None:
    Image.new(mode, size).save(tmp_path / "sheet.png")
    with pytest.raises(SourceError, match=r"expected RGB, 1024 x 3 pixels"):
        convert.read_sheet(tmp_path / "sheet.png", IMAGES)


def test_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (1024, 3)).save(tmp_path / "sheet.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(SourceError, match="cannot be read"):
        convert.read_sheet(tmp_path / "sheet.png", IMAGES)
