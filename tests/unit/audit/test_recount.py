"""Arrays that are none are found out before anything is computed of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.audit.arrays import array


def saved(save: Any, *content: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *content, **named)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 no archive", b"\x93NUMPY", saved(np.savez, a=np.arange(3)), saved(np.save, np.array(5))],
    ids=["empty", "torn npz", "torn npy", "npz", "a number"],
)
def test_what_is_no_array_is_an_empty_one(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "logits.npy"
    path.write_bytes(content)
    assert array(path).shape == (0,)


def test_an_array_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "logits.npy", np.eye(2, dtype=np.float32))
    assert array(tmp_path / "logits.npy").tolist() == [[1, 0], [0, 1]]
