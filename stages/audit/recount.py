"""Recomputes every number of a result from its predictions: the digits in it, and the logits beside it.

Accuracy, chance, report, confusion matrix and the surest mistakes are computed by the code that made them, the loss by
numpy instead of PyTorch.
"""

import hashlib
import warnings
import zlib
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.audit.arrays import array
from stages.audit.findings import Finding, broken, differences, invalid, missing
from stages.core.errors import MissingFileError, StageError
from stages.core.regular import is_regular, is_there, read_regular
from stages.evaluate.metrics import score
from stages.evaluate.mistakes import most_confused
from stages.evaluate.report import report_text
from stages.records.digits import digits
from stages.records.evaluation import Evaluation, logits_path
from stages.records.test_split import LABELS, TEST_SPLIT, chosen_indices, true_labels

_LOSS = 1e-5  # relative: it was summed in float32
_NO_PICTURE = (Image.DecompressionBombError, ValueError, OSError, SyntaxError, EOFError, zlib.error)  # all of Pillow's
_COUNTED = ("test_images", "correct", "accuracy", "at_chance", "report", "confusion")


def recount(where: Path, result: Evaluation, count: int) -> Iterator[Finding]:
    """Numbers of a result that are not those of its own digits, for `count` test images."""
    labels, predictions = (classes_of(text) for text in (result.labels, result.predictions))
    if max(labels.max(), predictions.max()) >= len(result.classes):
        yield broken(f"{where}, predictions", "a class that there is not", f"one of {len(result.classes)}")
        return
    try:
        counted = score(labels, predictions, result.classes, count)
    except StageError as error:
        yield broken(f"{where}, predictions", error.message, f"{count} images, as its spec says")
        return
    last = {"validation_accuracy": result.history[-1].validation_accuracy} if result.history else {}
    expected = {"validation_accuracy": result.run.validated.accuracy}
    yield from differences(f"{where}, last epoch", last, expected, "counted from run.validated", exact=False)
    found = {name: getattr(result, name) for name in _COUNTED}
    yield from differences(str(where), found, counted, "counted from its predictions", exact=False)


def against_true_labels(where: Path, result: Evaluation, count: int) -> Iterator[Finding]:
    """Check a result's labels against those of the data set, whose hash is in the code.

    The labels of the whole split have that hash; for fewer images the file in git is needed.
    """
    dataset = result.run.dataset
    if npy_sha256(classes_of(result.labels)) == TEST_SPLIT[dataset].labels:
        return
    try:
        true = true_labels(dataset, count)
    except MissingFileError:
        file = LABELS / f"{dataset}.npy"
        yield missing(file, f"git checkout {file}", "recounted")
    except StageError as error:
        file = LABELS / f"{dataset}.npy"
        yield invalid(file, error.message.removeprefix(f"{file}: "))
    else:
        true_label = f"the true label by {LABELS / dataset}.npy, whose sha256 is in the code"
        yield from _digits_differ(f"{where}, labels", result.labels, digits(true), true_label, "")


def follow(where: Path, result: Evaluation, folder: Path, test: Path, total: int, how: str) -> Iterator[Finding]:
    """What in a result contradicts its logits, the labels in `folder`, or the `test` arrays.

    `total` is how many images the test split has; `how` says how to get the folder, where it is not here. The logits
    lie beside the result in git.
    """
    stored = logits_path(where)
    if not is_there(stored):
        yield missing(stored, f"git checkout {stored}, or dvc repro {result.stage}", "recounted")
    yield from _labels_differ(where, result, folder, how)
    logits, labels = array(stored), classes_of(result.labels)
    if not is_there(stored) or labels.max() >= len(result.classes):
        return  # said already
    if (logits.shape, logits.dtype) != ((len(labels), len(result.classes)), np.float32):
        yield broken(stored, "another array", f"float32 logits of {len(labels)} images, as {where} says")
        return
    yield from _digits_differ(f"{where}, predictions", result.predictions, digits(logits.argmax(1)), stored)
    yield from _loss_differs(where, result.loss, logits, labels)
    yield from _mistakes_differ(where, result, logits, labels, test, total)
    report = folder / "report.txt"
    if is_regular(report):
        counted = score(labels, logits.argmax(1).astype(np.uint8), result.classes, len(labels))
        found, expected = (
            read_regular(report, result.stage).decode(errors="replace"),
            report_text(counted["report"], result.classes),
        )
        if found != expected:
            yield broken(report, *first_difference(found, expected))


def _labels_differ(where: Path, result: Evaluation, folder: Path, how: str) -> Iterator[Finding]:
    file = folder / "labels.npy"
    if not is_there(file):
        yield missing(file if folder.is_dir() else folder, how, "predicted")
        return
    labels = array(file)
    if labels.shape != (len(result.labels),) or labels.dtype != np.uint8 or labels.max() >= len(result.classes):
        yield broken(file, "another array", f"uint8 labels of {len(result.labels)} images, as {where} says")
    else:
        yield from _digits_differ(f"{where}, labels", result.labels, digits(labels), file)


def first_difference(found: str, expected: str) -> tuple[str, str]:
    """The first line in which two texts differ, of each."""
    ours, theirs = found.splitlines(), expected.splitlines()
    for number in range(max(len(ours), len(theirs)) + 1):
        one, other = ("".join(lines[number : number + 1]) for lines in (ours, theirs))
        if one != other:
            return f"line {number + 1} {one!r}", repr(other)
    return "other line ends", "those that were written"


def npy_sha256(values: NDArray[Any]) -> str:
    """sha256 of the .npy file that `evaluate` writes of an array."""
    buffer = BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def classes_of(text: str) -> NDArray[np.uint8]:
    """A string of digits as class indices, one an image."""
    return (np.frombuffer(text.encode(), np.uint8) - ord("0")).astype(np.uint8)


def _digits_differ(where: str, found: str, expected: str, file: object, has: str = "has it") -> Iterator[Finding]:
    as_there = f"as {file} {has}" if has else f"{file}"
    if len(found) != len(expected):
        yield broken(where, f"{len(found)} digits", f"{len(expected)}, {as_there}")
    elif found != expected:
        changed = [place for place, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other]
        place = changed[0]
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        yield broken(where, f"{found[place]} (image {place}{more})", f"{expected[place]}, {as_there}")


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
    where: Path, result: Evaluation, logits: NDArray[Any], labels: NDArray[Any], test: Path, total: int
) -> Iterator[Finding]:
    """Without the test arrays, or with broken ones, which is said elsewhere, the pictures are not looked at."""
    chosen, every, theirs = chosen_indices(total, len(labels)), array(test / "images.npy"), array(test / "labels.npy")
    if len(theirs) == total and not np.array_equal(theirs[chosen], labels):
        yield broken(f"{where}, labels", "other labels", f"those of {test / 'labels.npy'}")
    there = len(every) == total and (every.ndim, every.dtype) == (4, np.uint8)
    images = every[chosen] if there else np.zeros((len(labels), 1, 1, 1), np.uint8)
    expected = most_confused(images, labels, logits, chosen)
    found = [one.model_dump(exclude={"png"}) for one in result.most_confused]
    stated = [{name: value for name, value in one.items() if name != "png"} for one in expected]
    if found != stated:
        yield broken(f"{where}, most_confused", found, f"{stated} (from its logits)")
    elif there:
        for one, other in zip(result.most_confused, expected, strict=True):
            if not _same_picture(one.png, other["png"]):
                what = f"{where}, most_confused, test image {one.test_image}"
                yield broken(what, "another picture", f"the one in {test / 'images.npy'}")


def _same_picture(one: str, other: str) -> bool:
    """Whether two PNGs have the same pixels: Pillow's versions pack them differently. Sizes are compared first."""
    try:
        with _picture(one) as found, _picture(other) as expected:
            if (found.size, found.mode) != (expected.size, expected.mode):
                return False
            return np.array_equal(np.asarray(found), np.asarray(expected))
    except _NO_PICTURE:
        return False


def _picture(text: str) -> Image.Image:
    """A picture of which only the header is read. Pillow warns of one of so many pixels that it may be an attack."""
    with warnings.catch_warnings(action="error", category=Image.DecompressionBombWarning):
        try:
            return Image.open(BytesIO(b64decode(text)), formats=("PNG",))
        except Image.DecompressionBombWarning as warning:
            raise ValueError(str(warning)) from None
