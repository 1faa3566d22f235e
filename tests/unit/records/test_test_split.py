"""The true labels in git: their hash, and how it follows from the canonical raw files."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import file_hash
from stages.records.canonical import CANONICAL
from stages.records.test_split import LABELS, TEST_SPLIT, true_labels
from tests.shipped import ROOT


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_the_labels_in_git_are_all_of_the_test_split(dataset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert file_hash(LABELS / f"{dataset}.npy", "sha256") == TEST_SPLIT[dataset].labels
    labels = true_labels(dataset, 10000)
    assert (labels.dtype, labels.shape) == (np.uint8, (10000,))
    assert set(np.bincount(labels)) == {1000} if dataset == "cifar10" else np.bincount(labels).sum() == 10000
    assert np.array_equal(true_labels(dataset, 500), labels[::20])


def test_the_labels_of_mnist_have_the_canonical_hash_behind_the_head_of_their_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """IDX: the magic number of bytes in one axis, then its length."""
    monkeypatch.chdir(ROOT)
    content = bytes([0, 0, 8, 1]) + (10000).to_bytes(4, "big") + true_labels("mnist", 10000).tobytes()
    (spec,) = (one for one in CANONICAL["mnist"] if one.name == "t10k-labels-idx1-ubyte")
    assert hashlib.sha256(content).hexdigest() == spec.sha256


def test_other_labels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError, match=r"data/labels/mnist\.npy is missing; it is made by: git checkout"):
        true_labels("mnist", 10)
    LABELS.mkdir(parents=True)
    buffer = BytesIO()
    np.save(buffer, np.zeros(10000, np.uint8))
    (LABELS / "mnist.npy").write_bytes(buffer.getvalue())
    with pytest.raises(CorruptFileError, match="the labels of mnist's test split"):
        true_labels("mnist", 10)
