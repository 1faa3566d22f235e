"""How far back a number has been followed: the levels, and the one that committed files alone give.

    consistent   every record, hash and page that is here says the same
    recounted    the number is counted again from the committed logits and the true labels of the test images
    predicted    the logits are computed again from the weights, with the same bytes
    derived      the arrays are made again from raw files of the canonical bytes, with the same bytes
    retrained    the weights are trained again from code, settings and arrays, with the same bytes

A number's level is the last of these that it has reached together with all before it. `predicted` and `derived` do not
need each other: one asks for weights, the other for raw data. A check that was passed out of turn is said beside the
level, and raises it as soon as what is before it is passed too.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from stages.core.errors import StageError
from stages.core.files import file_hash
from stages.records.digits import digits
from stages.records.evaluation import Evaluation, logits_path
from stages.records.test_split import true_labels

Level = Literal["consistent", "recounted", "predicted", "derived", "retrained"]
LEVELS: tuple[Level, ...] = get_args(Level)
MEANS: dict[Level, str] = {
    "consistent": "all records, hashes and pages agree",
    "recounted": "counted again from committed predictions and the true test labels",
    "predicted": "predicted again from the weights",
    "derived": "with arrays made again from the canonical raw data",
    "retrained": "trained again",
}


def highest(passed: Collection[Level]) -> Level | None:
    """The last level that is passed with all before it; None where not even the first is."""
    found: Level | None = None
    for level in LEVELS:
        if level not in passed:
            break
        found = level
    return found


def following(level: Level | None) -> Level | None:
    """The next level; None after the last."""
    place = -1 if level is None else LEVELS.index(level)
    return LEVELS[place + 1] if place + 1 < len(LEVELS) else None


def committed_level(result: Evaluation) -> Level:
    """What the committed files say of a result that was read and holds together: its logits, and the true labels."""
    return "recounted" if _is_recounted(result) else "consistent"


def _is_recounted(result: Evaluation) -> bool:
    """Whether the committed logits are the record's, and name as many images rightly as it says."""
    file = logits_path(Path(result.file.path)) if result.file else None
    if file is None or not file.is_file() or file_hash(file, "sha256") != result.sha256.logits:
        return False
    try:
        labels = true_labels(result.dataset, len(result.labels))
        logits = np.load(file, allow_pickle=False)
    except (StageError, ValueError, OSError):
        return False
    if logits.shape != (len(labels), len(result.classes)) or digits(labels) != result.labels:
        return False
    predicted = logits.argmax(1)
    return digits(predicted) == result.predictions and int((predicted == labels).sum()) == result.correct
