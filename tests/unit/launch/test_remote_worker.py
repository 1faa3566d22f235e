"""The copy of a checkpoint in DVC's remote: where a worker that takes the place of a lost one finds it."""

import os
from pathlib import Path
from typing import Any

import pytest
from dvc.fs import LocalFileSystem

from stages.core.filenames import CHECKPOINT
from stages.launch.__main__ import keep_attempts
from stages.launch.remote_worker import FOLDER, AttemptsCopy, CheckpointCopy, _checkpoint
from stages.launch.work import Command, Result, Unit
from stages.records.attempts import Attempts, Journal, attempts_path
from tests.shipped import shipped_params

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
    copy = CheckpointCopy(remote, PATH)
    copy.fetch()  # nothing anywhere
    copy.store()
    assert not stored.exists()
    for content in (b"after epoch 1", b"after epoch 2"):
        write(content)
        copy.store()
        assert stored.read_bytes() == content
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    other = CheckpointCopy(remote, PATH)
    other.fetch()
    assert PATH.read_bytes() == b"after epoch 2"
    assert [path.name for path in PATH.parent.iterdir()] == [PATH.name]
    other.remove()
    other.remove()
    assert not stored.exists()


def test_an_unchanged_checkpoint_is_not_copied_again(remote: tuple[Any, str]) -> None:
    write(b"state")
    copy = CheckpointCopy(remote, PATH)
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
    CheckpointCopy(remote, PATH).fetch()
    assert PATH.read_bytes() == b"newer"


def test_a_remote_that_fails_ends_no_training(
    remote: tuple[Any, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = CheckpointCopy(remote, PATH)
    write(b"state")

    def refuse(*_: object) -> None:
        raise ConnectionError("no route to the store")

    monkeypatch.setattr(copy.fs, "put_file", refuse)
    copy.store()
    assert "is not copied to DVC's remote: no route to the store" in capsys.readouterr().err


def test_a_unit_without_a_training_has_no_checkpoint(remote: tuple[Any, str]) -> None:
    copy = CheckpointCopy(remote, None)
    copy.fetch()
    copy.store()
    copy.remove()
    assert list(Path().iterdir()) == []


ATTEMPTS = attempts_path("quick")


def train(outcome: str = "") -> None:
    """Write down a training as it starts; without an outcome its worker is lost then."""
    with Journal(shipped_params(), "quick", PATH) as journal:
        journal.started("mnist/vgg11", 0, "a" * 32, "c" * 40, "cpu")
        if outcome:
            journal.ended(outcome, "b" * 64)


def test_a_training_that_a_lost_worker_started_goes_on_as_the_same_attempt_and_is_known_to_the_launch(
    remote: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three folders that share nothing but the remote: a worker that is lost, the next one, and the launch."""
    stored = Path(remote[1], FOLDER, f"{PATH}.attempts")
    lost = AttemptsCopy(CheckpointCopy(remote, PATH), ATTEMPTS)
    lost.fetch()
    train()
    lost.store()
    assert stored.read_bytes() == ATTEMPTS.read_bytes() == lost.content()
    for name in ("next", "launch"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "next")
    copy = AttemptsCopy(CheckpointCopy(remote, PATH), ATTEMPTS)
    copy.fetch()
    train("finished")
    copy.store()
    content = copy.content()
    copy.remove()
    assert not stored.exists()
    monkeypatch.chdir(tmp_path / "launch")
    keep_attempts([Result("a", (), "failed", attempts=content), Result("b", (), None)], "quick")
    keep_attempts([Result("a", (), None, attempts=content)], "quick")
    found = Attempts.read(ATTEMPTS)
    assert [entry.kind for entry in found.entries] == ["begin", "start", "resume", "end"]
    (one,) = found.trainings
    assert (one.outcome, len(one.resumes), found.removed) == ("finished", 1, [])
    keep_attempts([Result("unit a", (), None, attempts=content[:-9])], "quick")
    assert "attempts.jsonl does not have the training of unit a: attempts of unit a, line 4" in capsys.readouterr().err
    assert Attempts.read(ATTEMPTS).entries == found.entries


def test_a_unit_without_a_training_has_no_attempts(remote: tuple[Any, str]) -> None:
    copy = AttemptsCopy(CheckpointCopy(remote, None), ATTEMPTS)
    train("finished")
    copy.fetch()
    copy.store()
    copy.remove()
    assert copy.content() == b""
    assert not Path(remote[1]).exists()
