"""networks.json: one line for each layer and block, read and written as the same bytes, any other bytes refused."""

from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import CorruptFileError
from stages.core.files import file_hash
from stages.records.architecture import Networks

SIZES = {"parameters": 6, "multiply_adds": 5}
HEAD = {"name": "aux", "type": "linear 1", "output_shape": "1", **SIZES, "training_only": True}
LAYER = {"name": "fc – 1", "type": "linear 1", "output_shape": "1", **SIZES, "training_only": False}
BLOCK = {"title": "fc", "layers": ["linear 1", "ReLU"], "output_shape": "1", **SIZES, "training_only": False}
NETWORK = {"name": "a", "title": "t", "input": "1", "cells": ["mnist/a"], **SIZES}
WRITTEN = """{
 "budget": "quick",
 "networks": [
  {
   "name": "a",
   "title": "t",
   "input": "1",
   "cells": [
    "mnist/a"
   ],
   "parameters": 6,
   "multiply_adds": 5,
   "layers": [
    {"name": "fc – 1", "type": "linear 1", "output_shape": "1", "parameters": 6, "multiply_adds": 5},
    {"name": "aux", "type": "linear 1", "output_shape": "1", "parameters": 6, "multiply_adds": 5, "training_only": true}
   ],
   "blocks": [
    {"title": "fc", "layers": ["linear 1", "ReLU"], "output_shape": "1", "parameters": 6, "multiply_adds": 5}
   ]
  }
 ]
}
"""


def record(**changed: Any) -> Networks:
    network = {**NETWORK, "layers": [LAYER, HEAD], "blocks": [BLOCK]}
    return Networks.model_validate({"budget": "quick", "networks": [network], **changed})


def test_what_is_read_is_written_as_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "networks.json"
    record().write(path)
    assert path.read_text(encoding="utf-8") == WRITTEN
    found = Networks.read(path, "test")
    assert found.text() == WRITTEN
    assert found.md5() == file_hash(path)
    assert [layer.training_only for layer in found.networks[0].layers] == [False, True]
    assert found.networks[0].blocks[0].layers == ["linear 1", "ReLU"]
    record(networks=[]).write(path)
    assert Networks.read(path, "test").networks == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"multiply_adds": 5}', '"multiply_adds": 5, "training_only": false}'),
        ('"type": "linear 1", ', '"type":"linear 1", '),
        ('["linear 1", "ReLU"]', '[\n "linear 1",\n "ReLU"\n]'),
        ("\n}\n", "\n}"),
    ],
)
def test_other_bytes_of_the_same_content_are_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "networks.json"
    assert old in WRITTEN
    path.write_text(WRITTEN.replace(old, new), encoding="utf-8")
    with pytest.raises(CorruptFileError, match="other bytes than its own content gives"):
        Networks.read(path, "test")
