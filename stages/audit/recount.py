"""Every number of a result once more, from its predictions: the digits in it, and the logits beside it.

Accuracy, chance, report, confusion matrix, loss and the surest mistakes are computed by the code that made them, or, of
the loss, by numpy instead of PyTorch.
"""

from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from stages.audit.findings import Finding, broken, differences, missing
from stages.audit.told import Told
from stages.core.errors import StageError
from stages.evaluate.metrics import digits, score
from stages.evaluate.mistakes import most_confused
from stages.evaluate.report import report_text

_LOSS = 1e-5  # relative: it was summed in float32
_COUNTED = ("test_images", "correct", "accuracy", "at_chance", "report", "confusion")


def recount(where: Path, whole: dict[str, Any], told: Told, count: int) -> Iterator[Finding]:
    """What of a result's numbers does not follow from its own digits, for `count` test images."""
    labels, predictions = (_classes(text) for text in (told.labels, told.predictions))
    if max(labels.max(), predictions.max()) >= len(told.classes):
        yield broken(f"{where}, predictions", "a class that there is not", f"one of {len(told.classes)}")
        return
    try:
        counted = score(labels, predictions, told.classes, count)
    except StageError as error:
        yield broken(f"{where}, predictions", error.message, f"{count} images, as params.yaml says")
        return
    found = {name: whole.get(name) for name in _COUNTED}
    yield from differences(str(where), found, counted, "counted from its predictions", exact=False)


def follow(
    where: Path, whole: dict[str, Any], told: Told, folder: Path, test: Path, total: int, how: str
) -> Iterator[Finding]:
    """What of a result does not follow from the logits and labels in `folder`, and from the `test` arrays.

    `total` is how many images the test split has; `how` says how to get the folder, where it is not here.
    """
    if not folder.is_dir():
        yield missing(folder, how)
        return
    logits, labels = _array(folder / "logits.npy"), _array(folder / "labels.npy")
    absent = [folder / f"{name}.npy" for name in ("logits", "labels") if not (folder / f"{name}.npy").is_file()]
    yield from (missing(path, how) for path in absent)
    if absent:
        return
    if not _fits(logits, labels, len(told.labels), len(told.classes)):
        yield broken(folder, "other arrays", f"logits and labels of {len(told.labels)} images, as {where} says")
        return
    yield from _digits_differ(f"{where}, predictions", told.predictions, digits(logits.argmax(1)), folder)
    yield from _digits_differ(f"{where}, labels", told.labels, digits(labels), folder)
    yield from _loss_differs(where, told.loss, logits, labels)
    yield from _mistakes_differ(where, told, logits, labels, test, total)
    report = folder / "report.txt"
    if report.is_file():
        counted = score(labels, logits.argmax(1).astype(np.uint8), told.classes, len(labels))
        found, expected = report.read_text(errors="replace"), report_text(counted["report"], told.classes)
        if found != expected:
            yield broken(report, *first_difference(found, expected))


def _array(path: Path) -> NDArray[Any]:
    """An array; an empty one where there is none, or what there is cannot be read as one."""
    try:
        with path.open("rb") as file:
            is_array = file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX  # np.load takes archives too
        found = np.load(path, mmap_mode="r", allow_pickle=False) if is_array else np.empty(0)
    except (ValueError, OSError, EOFError):
        return np.empty(0)
    return found if found.ndim else np.empty(0)


def _fits(logits: NDArray[Any], labels: NDArray[Any], images: int, classes: int) -> bool:
    shapes = (logits.shape, labels.shape) == ((images, classes), (images,))
    return shapes and (logits.dtype, labels.dtype) == (np.float32, np.uint8) and bool(labels.max(initial=0) < classes)


def first_difference(found: str, expected: str) -> tuple[str, str]:
    """The first line in which two texts differ, of each."""
    ours, theirs = found.splitlines(), expected.splitlines()
    for number in range(max(len(ours), len(theirs)) + 1):
        one, other = ("".join(lines[number : number + 1]) for lines in (ours, theirs))
        if one != other:
            return f"line {number + 1} {one!r}", repr(other)
    return "other line ends", "those that were written"


def places(total: int, count: int) -> NDArray[np.int64]:
    """`stages.engine.images.evenly_spread`, whose module waits for PyTorch; a test holds the two together."""
    return np.arange(count) * total // count


def _classes(text: str) -> NDArray[np.uint8]:
    return (np.frombuffer(text.encode(), np.uint8) - ord("0")).astype(np.uint8)


def _digits_differ(where: str, found: str, expected: str, folder: Path) -> Iterator[Finding]:
    if len(found) != len(expected):
        yield broken(where, f"{len(found)} digits", f"{len(expected)}, as {folder} has it")
    elif found != expected:
        changed = [place for place, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other]
        place = changed[0]
        of = f" (image {place}, and {len(changed) - 1} more)"
        yield broken(where, f"{found[place]}{of}", f"{expected[place]}, as {folder} has it")


def _loss_differs(where: Path, found: float | None, logits: NDArray[Any], labels: NDArray[Any]) -> Iterator[Finding]:
    """Cross-entropy, the mean over the images of -log of the probability of their label."""
    expected = None
    if np.isfinite(logits).all():
        shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
        expected = float(np.mean(np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]))
    if found is None or expected is None:
        same = found is None and expected is None
    else:
        same = abs(found - expected) <= _LOSS * max(1.0, abs(expected))
    if not same:
        yield broken(f"{where}, loss", found, f"{expected} (computed from its logits)")


def _mistakes_differ(
    where: Path, told: Told, logits: NDArray[Any], labels: NDArray[Any], test: Path, total: int
) -> Iterator[Finding]:
    """Without the test arrays, or with broken ones, which is said elsewhere, the pictures are not looked at."""
    chosen, every, theirs = places(total, len(labels)), _array(test / "images.npy"), _array(test / "labels.npy")
    if len(theirs) == total and not np.array_equal(theirs[chosen], labels):
        yield broken(f"{where}, labels", "other labels", f"those of {test / 'labels.npy'}")
    there = len(every) == total and (every.ndim, every.dtype) == (4, np.uint8)
    images = every[chosen] if there else np.zeros((len(labels), 1, 1, 1), np.uint8)
    expected = most_confused(images, labels, logits, chosen)
    found = [{name: value for name, value in one.items() if name != "png"} for one in told.most_confused]
    stated = [{name: value for name, value in one.items() if name != "png"} for one in expected]
    if found != stated:
        yield broken(f"{where}, most_confused", found, f"{stated} (from its logits)")
    elif there:
        for one, other in zip(told.most_confused, expected, strict=True):
            if not _same_picture(str(one.get("png")), other["png"]):
                what = f"{where}, most_confused, test image {one['test_image']}"
                yield broken(what, "another picture", f"the one in {test / 'images.npy'}")


def _same_picture(one: str, other: str) -> bool:
    """Whether two PNGs have the same pixels: Pillow's versions pack them differently."""
    try:
        ours, theirs = (np.asarray(Image.open(BytesIO(b64decode(text)))) for text in (one, other))
    except (UnidentifiedImageError, ValueError, OSError):
        return False
    return np.array_equal(ours, theirs)
