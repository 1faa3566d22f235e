"""The copies of the training images: the same on any number of cores."""

from multiprocessing import get_context

import numpy as np
import pytest

from stages.engine.augmentation import augment
from stages.preprocess import copies
from tests.unit.engine.test_augmentation import AUGMENTATION, pictures


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 warns of forks where there are threads
def test_the_copies_do_not_depend_on_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(11)
    monkeypatch.setattr(copies, "cpu_count", lambda: 2)
    monkeypatch.setattr(copies, "CHUNK", 3)
    monkeypatch.setattr(copies, "get_context", lambda kind: get_context("fork"))  # else each imports PyTorch anew
    chunks = list(copies.augmented_chunks(images, AUGMENTATION))
    assert [len(part) for part in chunks] == [3, 3, 3, 2]
    assert np.array_equal(np.concatenate(chunks), augment(images, AUGMENTATION))  # in this process, in one go
