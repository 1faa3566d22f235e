"""Files are whole or not there, JSON is strict, and hashes are those of the standard library."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.core.errors import CorruptFileError, MissingFileError, ParamError, StageError, dotted, shown
from stages.core.files import (
    atomic_path,
    digest,
    file_hash,
    flatten,
    folder_path,
    json_hash,
    read_json,
    sweep,
    write_bytes,
    write_json,
    write_text,
)

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(params=[0o022, 0o002, 0o077, 0o000])
def mode(request: pytest.FixtureRequest) -> Iterator[int]:
    """What a new file's mode is under an umask."""
    before = os.umask(request.param)
    yield 0o666 & ~request.param
    os.umask(before)


def test_a_file_is_written_with_its_folders_and_the_umask_s_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a" / "b" / "c.bin"
    for _ in range(2):
        write_bytes(path, b"\x00\xff")
        assert path.read_bytes() == b"\x00\xff"
        assert path.stat().st_mode & 0o777 == mode
        assert [file.name for file in path.parent.iterdir()] == ["c.bin"]


def test_a_library_that_moves_its_own_file_in_does_not_decide_the_mode(tmp_path: Path, mode: int) -> None:
    def save(path: Path) -> None:
        (path.parent / "own").touch(mode=0o600)
        (path.parent / "own").replace(path)

    with atomic_path(tmp_path / "a.bin") as temporary:
        save(temporary)
    with folder_path(tmp_path / "b.bin") as temporary:
        save(temporary)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {"a.bin": mode, "b.bin": mode}


def test_safetensors_files_have_the_umask_s_mode(tmp_path: Path, mode: int) -> None:
    from safetensors.numpy import save_file

    with folder_path(tmp_path / "weights.safetensors") as temporary:
        save_file({"a": np.zeros(2, np.float32)}, temporary)
    assert (tmp_path / "weights.safetensors").stat().st_mode & 0o777 == mode


def test_a_folder_path_that_fails_leaves_the_path_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail_halfway() -> None:
        with folder_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail_halfway()
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for name in (".run.json.0123.json", ".run.json.4567.json"):
        (tmp_path / name).touch()
    (tmp_path / ".run.json.folder").mkdir()
    (tmp_path / ".run.json.folder" / "run.json").touch()
    for name in ("run.json", "other.json", ".other.json.0123.json"):
        (tmp_path / name).touch()
    sweep(path)
    assert {file.name for file in tmp_path.iterdir()} == {"run.json", "other.json", ".other.json.0123.json"}


def test_a_temporary_file_of_a_killed_writer_is_what_is_swept(tmp_path: Path) -> None:
    for manager in (atomic_path, folder_path):
        with manager(tmp_path / "run.json") as temporary:
            temporary.touch()
            (left,) = tmp_path.iterdir()
            sweep(tmp_path / "run.json")
            assert not left.exists()
            left.mkdir() if manager is folder_path else left.touch()
            temporary.touch()
        assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
        (tmp_path / "run.json").unlink()


def test_a_device_or_fifo_is_not_replaced(tmp_path: Path) -> None:
    """As root a rename onto /dev/null would put a file in its place; a FIFO stands for it here."""
    path = tmp_path / "device"
    os.mkfifo(path)
    for write in (lambda: write_bytes(path, b"x"), lambda: folder_path(path).__enter__()):
        with pytest.raises(StageError, match="device is a device, a FIFO or a socket, and is not replaced"):
            write()
    assert path.is_fifo()
    assert [file.name for file in tmp_path.iterdir()] == ["device"]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match=r"file/a.json cannot be written \(.*\); mend that, and start again"):
        write_json(tmp_path / "file" / "a.json", {})


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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"a": ',
        b"\xff\xfe",
        b"[1]\n[2]",
        "[1]".encode("utf-8-sig"),
        b"NaN",
        b'{"a": [1, -Infinity]}',
        b"1e999",
        b"-1e999",
        b"9" * 5000,
        b"-" + b"9" * 5000,
        b"9" * 5000 + b".5",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'"\\ud800"',
        b'{"\\uDC00\\ud83d": 1}',
        b'["\\ud83d\\ud83d\\ude00"]',
    ],
    ids=range(18),
)
def test_a_file_that_is_not_json_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=r"run.json: not JSON .*; expected the JSON that train writes") as caught:
        read_json(path, "train")
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


def test_an_escaped_pair_of_surrogates_is_a_character(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'["\\ud83d\\ude00", "\\\\ud800"]')
    assert read_json(tmp_path / "a.json", "a test") == ["😀", "\\ud800"]


LOCALE = """
import locale, os, sys, warnings
from pathlib import Path
warnings.filterwarnings("error", category=EncodingWarning, module=r"stages\\.")
from stages.config.loading import load_params
from stages.config.reading import read_yaml
from stages.core.files import read_json, write_json, write_text
from stages.records import provenance
from stages.records.spec import Spec, resolve_spec, write_specs, check_spec
write_json("a.json", {"é": ["ü"]})
assert Path("a.json").read_bytes() == b'{\\n "\\xc3\\xa9": [\\n  "\\xc3\\xbc"\\n ]\\n}\\n'
assert read_json("a.json", "x") == {"é": ["ü"]}
write_text("a.yaml", "a: é")
assert read_yaml("a.yaml") == {"a": "é"}
provenance.environment()
os.chdir(sys.argv[1])
params = load_params()
spec = resolve_spec(params, "quick", "mnist/vgg16")
os.chdir(sys.argv[2])
write_specs([spec], Path("specs"))
check_spec(Path("specs/mnist/vgg16.json"), spec, "train")
print(locale.getpreferredencoding(False))
"""


def test_text_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    """Python also warns of every file that is opened with the locale's encoding, and the warning is an error here."""
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    (tmp_path / "script.py").write_text(LOCALE, "utf-8")
    command = [sys.executable, "-X", "warn_default_encoding", "script.py", str(REPOSITORY), str(tmp_path)]
    environment = {**variables, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert b"UTF-8" not in done.stdout.upper()


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


def test_a_digest_is_of_the_content_and_not_of_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": ["é"]}) == digest({"b": ["é"], "a": 1})
    assert digest({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()
    assert len({digest(value) for value in (1, 1.0, "1", [1], True, None)}) == 6
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest(float("nan"))


def test_nested_values_are_named_by_their_place() -> None:
    tree = {"a": {"b": 1, "c": {"d": [2]}}, "e": {}, "f": None}
    assert flatten(tree) == {"a.b": 1, "a.c.d": [2], "e": {}, "f": None}


# Messages


def test_every_value_can_be_shown_on_a_line() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert shown("a\nb") == r"'a\nb'"
    assert shown(10**5000) == "(int too large to print)"
    assert shown(deep) == "(list too large to print)"
    assert shown("x" * 300) == "'" + "x" * 196 + "..."
    assert shown("x" * 300, 10) == "'xxxxxx..."


def test_a_refusal_is_on_one_line_whatever_the_allowed_values_hold() -> None:
    assert ParamError("studies.x", 1, "the row of y: a\nb").message == (
        "studies.x: 1 is not allowed; allowed: the row of y: a\\nb"
    )


def test_places_are_on_a_line() -> None:
    assert dotted(["a", 0, "é"]) == "a.0.é"
    assert dotted(["a\nb", "\ud800"]) == r"'a\nb'.'\ud800'"
