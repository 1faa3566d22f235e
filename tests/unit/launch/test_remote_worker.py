"""The copy of a checkpoint in DVC's remote: where a worker that takes the place of a lost one finds it."""

import os
from pathlib import Path
from typing import Any

import pytest
from dvc.fs import LocalFileSystem

from stages.core.filenames import CHECKPOINT
from stages.launch.remote_worker import FOLDER, Copy, _checkpoint
from stages.launch.work import Command, Unit

PATH = Path("data/runs/quick/mnist/vgg11/s0.checkpoint")


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    """A remote that is a folder, and a clone as the working directory."""
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    return LocalFileSystem(), str(tmp_path / "remote")


def write(content: bytes) -> None:
    """Put a checkpoint in its place as the training does: by a rename."""
    PATH.parent.mkdir(parents=True, exist_ok=True)
    written = PATH.with_name("written")
    written.write_bytes(content)
    written.replace(PATH)


def test_the_checkpoint_is_that_of_the_unit_s_training() -> None:
    train = Command("train-mnist@quick-vgg11-0", "", ("data/runs/quick/mnist/vgg11/s0",))
    evaluate = Command(
        "evaluate-mnist@quick-vgg11-0", "", ("reports/quick/cells/mnist/vgg11-s0.json", "data/predictions")
    )
    assert _checkpoint(Unit("both", (train, evaluate))) == PATH
    assert _checkpoint(Unit("evaluation alone", (evaluate,))) is None
    assert PATH.name.endswith(CHECKPOINT)


def test_another_clone_finds_what_was_stored(
    remote: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = Path(remote[1], FOLDER, PATH)
    copy = Copy(remote, PATH)
    copy.fetch()  # nothing anywhere
    copy.store()
    assert not stored.exists()
    for content in (b"after epoch 1", b"after epoch 2"):
        write(content)
        copy.store()
        assert stored.read_bytes() == content
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    other = Copy(remote, PATH)
    other.fetch()
    assert PATH.read_bytes() == b"after epoch 2"
    assert [path.name for path in PATH.parent.iterdir()] == [PATH.name]
    other.remove()
    other.remove()
    assert not stored.exists()


def test_an_unchanged_checkpoint_is_not_copied_again(remote: tuple[Any, str]) -> None:
    write(b"state")
    copy = Copy(remote, PATH)
    copy.store()
    stored = Path(remote[1], FOLDER, PATH)
    assert not stored.exists()  # it was there before the unit began: fetched, or of an earlier start
    write(b"state 2")
    copy.store()
    os.utime(stored, (0, 0))
    copy.store()
    assert stored.stat().st_mtime == 0


def test_a_checkpoint_that_is_here_is_not_replaced(remote: tuple[Any, str]) -> None:
    write(b"newer")
    stored = Path(remote[1], FOLDER, PATH)
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"older")
    Copy(remote, PATH).fetch()
    assert PATH.read_bytes() == b"newer"


def test_a_remote_that_fails_ends_no_training(
    remote: tuple[Any, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Copy(remote, PATH)
    write(b"state")

    def refuse(*_: object) -> None:
        raise ConnectionError("no route to the store")

    monkeypatch.setattr(copy.fs, "put_file", refuse)
    copy.store()
    assert "is not copied to DVC's remote: no route to the store" in capsys.readouterr().err


def test_a_unit_without_a_training_has_no_checkpoint(remote: tuple[Any, str]) -> None:
    copy = Copy(remote, None)
    copy.fetch()
    copy.store()
    copy.remove()
    assert list(Path().iterdir()) == []
