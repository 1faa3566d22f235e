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
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from stages.audit.findings import Finding, broken, differences, missing
from stages.audit.told import Told
from stages.core.errors import StageError
from stages.score.confused import most_confused
from stages.score.layout import report_text
from stages.score.metrics import digits, score

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
    arrays = {}
    for name in ("logits", "labels"):
        path = folder / f"{name}.npy"
        if not path.is_file():
            yield missing(path, how)
            continue
        try:
            arrays[name] = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            yield broken(path, f"no array ({error})", "the array that evaluate wrote")
    if len(arrays) < 2:
        return
    logits, labels = arrays["logits"], arrays["labels"]
    shape = (len(told.labels), len(told.classes))
    if logits.shape != shape or labels.shape != shape[:1]:
        yield broken(folder, f"logits {logits.shape}, labels {labels.shape}", f"{shape}, {shape[:1]}")
        return
    for name, found, array in (
        ("predictions", told.predictions, logits.argmax(1).astype(np.uint8)),
        ("labels", told.labels, labels),
    ):
        yield from _digits_differ(f"{where}, {name}", found, digits(array), folder)
    yield from _loss_differs(where, told.loss, logits, labels)
    yield from _mistakes_differ(where, told, logits, labels, test, total)
    report = folder / "report.txt"
    if report.is_file():
        found, expected = (
            report.read_text(),
            report_text(score(labels, logits.argmax(1), told.classes, len(labels))["report"], told.classes),
        )
        if found != expected:
            yield broken(report, *first_difference(found, expected))


def first_difference(found: str, expected: str) -> tuple[str, str]:
    """The first line in which two texts differ, of each."""
    ours, theirs = found.splitlines(), expected.splitlines()
    for number in range(max(len(ours), len(theirs)) + 1):
        one, other = ("".join(lines[number : number + 1]) for lines in (ours, theirs))
        if one != other:
            return f"line {number + 1} {one!r}", repr(other)
    return "other line ends", "those that were written"


def places(total: int, count: int) -> NDArray[np.int64]:
    """`stages.learn.images.evenly_spread`, whose module waits for PyTorch; a test holds the two together."""
    return np.arange(count) * total // count


def _classes(text: str) -> NDArray[np.uint8]:
    return (np.frombuffer(text.encode(), np.uint8) - ord("0")).astype(np.uint8)


def _digits_differ(where: str, found: str, expected: str, folder: Path) -> Iterator[Finding]:
    if found != expected:
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
    """Without the test arrays, which are then missed elsewhere, the pictures are not looked at."""
    chosen = places(total, len(labels))
    if (test / "labels.npy").is_file():
        theirs = np.load(test / "labels.npy", allow_pickle=False)
        if len(theirs) != total or not np.array_equal(theirs[chosen], labels):
            yield broken(f"{where}, labels", "other labels", f"those of {test / 'labels.npy'}")
    images, there = np.zeros((len(labels), 1, 1, 1), np.uint8), (test / "images.npy").is_file()
    if there:
        images = np.load(test / "images.npy", mmap_mode="r", allow_pickle=False)[chosen]
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
