"""Attempts: a chain that shows what was removed, that branches merge, and that no training dies for."""

import subprocess
import threading
import time
from pathlib import Path

import pytest

from stages.config.loading import load_params
from stages.config.params import Params
from stages.core.errors import CorruptFileError
from stages.records import attempts
from stages.records.attempts import FAILED, UNENDED, Attempts, Journal, append, attempts_path, begin, merge

ROOT = Path(__file__).resolve().parents[3]
OUT = Path("data/runs/quick/mnist/vgg16/s0")
FILE = attempts_path("quick")


@pytest.fixture(scope="module")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(params: Params, seed: int, outcome: str | None = "finished", spec: str = "a" * 32) -> None:
    with Journal(params, "quick", OUT) as journal:
        journal.started("mnist/vgg16", seed, spec, "c" * 40, "cpu")
        if outcome:
            journal.ended(outcome, "b" * 64)


def fail(params: Params) -> None:
    with Journal(params, "quick", OUT) as journal:
        journal.started("mnist/vgg16", 0, "a" * 32, "c" * 40, "cpu")
        raise OSError("full")


def test_a_training_is_a_start_and_an_end_that_names_its_record(params: Params) -> None:
    run(params, 3)
    found = Attempts.read(FILE)
    assert [entry.kind for entry in found.entries] == ["begin", "start", "end"]
    (one,) = found.trainings
    assert (one.start.cell, one.start.seed, one.start.device, one.outcome) == ("mnist/vgg16", 3, "cpu", "finished")
    assert one.end is not None
    assert one.end.run == "b" * 64
    assert found.removed == []
    assert len(found.ends) == 1


def test_entries_of_one_millisecond_stand_in_the_order_in_which_they_were_added(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1e9)
    for seed in range(8):
        run(params, seed)
    assert [entry.kind for entry in Attempts.read(FILE).entries] == ["begin"] + ["start", "end"] * 8
    with pytest.raises(OSError, match="full"):
        fail(params)
    run(params, 0, outcome=None)  # goes on with the one that failed
    FILE.write_text("".join(reversed(FILE.read_text().splitlines(keepends=True))))
    *_, failed = Attempts.read(FILE).trainings
    assert (failed.outcome, len(failed.resumes)) == (UNENDED, 1)


def test_a_killed_training_goes_on_as_the_same_attempt(params: Params) -> None:
    run(params, 0, outcome=None)  # killed
    run(params, 0, outcome=None, spec="d" * 32)  # of other settings: another one
    run(params, 0, outcome=None)
    with pytest.raises(OSError, match="full"):
        fail(params)
    assert [one.outcome for one in Attempts.read(FILE).trainings] == [FAILED, UNENDED]
    run(params, 0)
    first, second = Attempts.read(FILE).trainings
    assert (first.outcome, len(first.resumes), second.outcome) == ("finished", 3, UNENDED)
    run(params, 0)
    assert len(Attempts.read(FILE).trainings) == 3


def test_a_removed_or_changed_line_is_seen(params: Params) -> None:
    run(params, 0)
    run(params, 1)
    lines = FILE.read_text().splitlines(keepends=True)
    for place in range(4):
        FILE.write_text("".join(lines[:place] + lines[place + 1 :]))
        assert len(Attempts.read(FILE).removed) == 1
    FILE.write_text("".join(lines).replace('"seed":1', '"seed":2'))
    with pytest.raises(CorruptFileError, match=r"line 4: sha256 .* that of the line"):
        Attempts.read(FILE)
    FILE.write_text("".join(lines) + '{"kind": "star')
    with pytest.raises(CorruptFileError, match="line 6: not JSON"):
        Attempts.read(FILE)


def test_two_branches_merge_and_the_next_entry_joins_them(params: Params) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@e", *words], check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    Path(".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    run(params, 0)
    git("add", "-A", ".gitattributes", "reports")
    git("commit", "-qm", "0")
    git("checkout", "-qb", "other")
    run(params, 1)
    git("commit", "-qam", "1")
    git("checkout", "-q", "main")
    run(params, 2)
    git("commit", "-qam", "2")
    git("merge", "-q", "other", "-m", "both")
    merged = Attempts.read(FILE)
    assert [one.start.seed for one in merged.trainings] == [0, 1, 2]
    assert (len(merged.ends), merged.removed) == (2, [])
    run(params, 3)
    assert len(Attempts.read(FILE).ends) == 1


def test_several_trainings_at_once_add_whole_lines(params: Params) -> None:
    threads = [threading.Thread(target=run, args=(params, seed)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Attempts.read(FILE)
    assert sorted(one.start.seed or 0 for one in found.trainings) == list(range(8))
    assert {one.outcome for one in found.trainings} == {"finished"}
    assert len(found.ends) == 1


@pytest.mark.parametrize("make", [lambda: FILE.mkdir(parents=True), lambda: Path("reports").write_text("a file")])
def test_a_training_does_not_die_of_a_file_that_cannot_be_written(
    params: Params, make: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    make()
    run(params, 0)
    assert "warning: reports/quick/attempts.jsonl does not have this training" in "".join(capsys.readouterr())


def test_it_does_not_wait_for_ever(
    params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(attempts, "_PATIENCE", 0.01)
    with attempts.waiting(FILE, 1):
        run(params, 0)
    assert "has been written by another process" in "".join(capsys.readouterr())


def test_a_trial_outside_of_the_project_is_not_written_down(params: Params, tmp_path: Path) -> None:
    Path("inside").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("inside")
        run(params, 0)
        assert FILE.is_file()
        with Journal(params, "quick", tmp_path / "x") as journal:
            journal.started("mnist/vgg16", 9, "a" * 32, "c" * 40, "cpu")
        assert len(Attempts.read(FILE).trainings) == 1


def test_a_file_can_be_begun_before_any_training(params: Params) -> None:
    begin(FILE, params, "c" * 40)
    assert [entry.kind for entry in Attempts.read(FILE).entries] == ["begin"]
    run(params, 0)
    assert [entry.kind for entry in Attempts.read(FILE).entries] == ["begin", "start", "end"]


def test_the_lines_of_another_clone_are_added_once_and_what_is_no_line_adds_nothing(params: Params) -> None:
    run(params, 0)
    here = FILE.read_bytes()
    run(params, 1)
    there = FILE.read_bytes()
    FILE.write_bytes(here)
    assert merge(FILE, there, "a worker") == 2
    assert merge(FILE, there, "a worker") == 0
    assert FILE.read_bytes() == there
    with pytest.raises(CorruptFileError, match="a worker, line 1: not JSON"):
        merge(FILE, b"torn", "a worker")
    assert FILE.read_bytes() == there
    FILE.unlink()
    assert merge(FILE, there, "a worker") == 5
    assert Attempts.read(FILE).removed == []


def test_a_training_that_came_to_its_end_has_ended_whatever_is_written_after(params: Params) -> None:
    run(params, 0)
    (one,) = Attempts.read(FILE).trainings
    for line in ({"kind": "resume"}, {"kind": "end", "outcome": FAILED}):
        append(
            FILE,
            {"judging": one.start.judging, "commit": "c" * 40},
            lambda _, line=line: {**line, "attempt": one.start.sha256},  # type: ignore[misc]
        )
    (found,) = Attempts.read(FILE).trainings
    assert (found.outcome, found.end) == ("finished", one.end)
