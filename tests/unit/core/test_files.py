"""Files are whole or not there, JSON is strict, and hashes are those of the standard library."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from stages.core.errors import CorruptFileError, MissingFileError
from stages.core.files import atomic_path, file_hash, json_hash, read_json, write_bytes, write_json, write_text


def test_a_file_is_written_with_its_folders_and_is_readable(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.bin"
    write_bytes(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(path.parent) == ["c.bin"]  # noqa: PTH208


@pytest.mark.parametrize("before", [None, b"as it was"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_the_path_as_it_was(
    tmp_path: Path, before: bytes | None, error: type[BaseException]
) -> None:
    path = tmp_path / "file.npy"
    if before is not None:
        path.write_bytes(before)

    def fail_halfway() -> None:
        with atomic_path(path) as temporary:
            assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
            temporary.write_bytes(b"half")
            assert (path.read_bytes() if path.exists() else None) == before
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert [file.name for file in tmp_path.iterdir()] == ([] if before is None else ["file.npy"])
    assert before is None or path.read_bytes() == before


def test_the_old_content_stands_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("content", [{"a": [1, 2.5, None, "é"]}, [], "word", 1e-300, {"0": {"1": True}}])
def test_json_comes_back_as_it_was(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "file.json"
    write_json(path, content)
    assert read_json(path, "a test") == content
    assert path.read_text().endswith("\n")
    assert json.loads(path.read_bytes().decode("utf-8")) == content


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_json_has_not_are_refused_and_nothing_is_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"loss": [value]})
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_names_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"history.json is missing; it is made by: dvc repro train"):
        read_json(tmp_path / "history.json", "dvc repro train")


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"\xff\xfe", b"[1]\n[2]"])
def test_a_file_that_is_not_json_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"run.json: not JSON .*; expected the JSON that train writes") as caught:
        read_json(path, "train")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_hashes_are_those_of_the_whole_file(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "file").write_bytes(content)
    assert file_hash(tmp_path / "file") == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert file_hash(tmp_path / "file", "sha256") == hashlib.sha256(content).hexdigest()


def test_the_hash_of_a_content_is_that_of_its_file(tmp_path: Path) -> None:
    content = {"b": [1, 0.5, None], "a": "é"}
    write_json(tmp_path / "file.json", content)
    for algorithm in ("md5", "sha256"):
        assert json_hash(content, algorithm) == file_hash(tmp_path / "file.json", algorithm)
