"""What a launch says, in a log and in its table, and how long it says that the rest takes."""

import io
import sys

import pytest
from rich.console import Console

from stages.launch.view import View
from stages.launch.work import Done, Result

SECONDS = {"a": 100.0, "b": 60.0, "c": 40.0}


def result(unit: str, failure: str | None = None) -> Result:
    return Result(unit, (Done(unit, {}),), failure)


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    """Of three units on two slots, with a clock that stands still at 0 until the test moves it."""
    clock = {"now": 0.0}
    monkeypatch.setattr("stages.launch.view.time.monotonic", lambda: clock["now"])
    found = View(dict(SECONDS))
    found.slots = 2
    found.clock = clock  # type: ignore[attr-defined]
    return found


def test_the_rest_is_shared_among_the_slots_or_as_long_as_the_longest(view: View) -> None:
    assert view.seconds_left() is None  # before a unit has ended, weights are not seconds
    view.on_event({"unit": "a", "stage": "train-a"})
    view.on_event({"unit": "b", "stage": "train-b"})
    view.clock["now"] = 60.0  # type: ignore[attr-defined]
    view.finished(result("b"))
    assert view.seconds_left() == 40.0  # a has 40 left, and so has c
    view.on_event({"unit": "c", "stage": "train-c"})
    view.clock["now"] = 95.0  # type: ignore[attr-defined]
    assert view.seconds_left() == 5.0
    view.finished(result("c"))
    view.finished(result("a"))
    assert view.seconds_left() == 0.0


def test_units_that_take_longer_than_foreseen_are_foreseen_to_go_on_so(view: View) -> None:
    """What is foreseen comes from trainings that had the machine to themselves, without their evaluation."""
    view.on_event({"unit": "b", "stage": "train-b"})
    view.clock["now"] = 120.0  # type: ignore[attr-defined]
    view.finished(result("b"))
    assert view.seconds_left() == 200.0  # twice the 100 of the longest, which has not begun


def test_a_log_has_a_line_for_each_epoch_and_each_end(view: View, capsys: pytest.CaptureFixture[str]) -> None:
    with view.shown("http://127.0.0.1:8787/status"):
        view.on_event({"unit": "a", "stage": "train-a"})
        view.on_event({"unit": "a", "epoch": 1, "epochs": 2, "images_per_second": 99.6, "left": 3.0})
        view.on_event({"refused": "worker w at tcp://x", "why": "torch 1 for 2"})
        view.clock["now"] = 61.0  # type: ignore[attr-defined]
        view.finished(result("a"))
        view.finished(result("b", "train-b: exit status 1: boom (b.log)"))
    assert capsys.readouterr().err.splitlines() == [
        "3 to run, 2 at a time; Dask's dashboard: http://127.0.0.1:8787/status",
        "train-a: epoch 1/2, 100 images/s",
        "warning: worker w at tcp://x takes no part: torch 1 for 2",
        "[1/3] a done in 1 min 01 s, 37 s left",
        "[2/3] b failed: train-b: exit status 1: boom (b.log), 24 s left",
    ]
    assert view.failed == {"b": "train-b: exit status 1: boom (b.log)"}


def test_the_table_shows_what_runs(view: View) -> None:
    view.on_event({"unit": "a", "stage": "train-a"})
    view.on_event({"unit": "a", "epoch": 1, "epochs": 10, "images_per_second": 87.4, "left": 3.0})
    view.on_event({"unit": "b", "stage": "train-b"})
    view.on_event({"unit": "b", "stage": "evaluate-b"})
    view.clock["now"] = 30.0  # type: ignore[attr-defined]
    view.finished(result("c"))
    console = Console(file=io.StringIO(), width=100)
    console.print(view._table())
    assert isinstance(console.file, io.StringIO)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines[0] == ["running", "epoch", "images/s", "for"]
    assert lines[1] == ["train-a", "1/10", "87", "30", "s"]
    assert lines[2] == ["evaluate-b", "30", "s"]
    assert " ".join(lines[3]).startswith("1 done, 2 running, 0 waiting, 0 failed, 45 s left")


def test_a_terminal_gets_the_table(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with view.shown("here"):
        view.on_event({"unit": "a", "stage": "train-a"})
        view.finished(result("c"))
    assert "[1/3] c done in 0 s" in terminal.getvalue()
    assert "train-a" in terminal.getvalue()
