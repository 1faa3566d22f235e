"""What is said while a stage works: plain lines in a log, never too many, a bar on a terminal."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stages.core import progress
from stages.core.progress import duration, say, track


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7629, "2 h 07 min"),
        (360000, "100 h 00 min"),
    ],
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("a line")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "a line\n")


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 4.0, 8.0, 12.0, 16.0, 20.0, 24.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(track("abcdef", 6, "letters")) == list("abcdef")
    assert capsys.readouterr().err == "letters: 3/6, 12 s left\n"  # at 12 s; 10 s later all are done


def test_a_short_loop_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(100), 100, "quick")) == list(range(100))
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(track("abc", 3, "letters")) == list("abc")
    assert "letters" in capsys.readouterr().err


@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-"])
def test_a_stage_outlives_its_standard_error(redirect: str) -> None:
    """A log on a disk that is full; a standard error that was closed."""
    code = "from stages.core.progress import say, track; [say(x) for x in track('ab', 2, 'letters')]; print('done')"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(code)} {redirect}"
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S602
    assert (done.returncode, done.stdout) == (0, "done\n")


SAY = "import os; from stages.core.progress import say; say('a'); os.write(1, b'ready\\n'); input(); say('b'); say('c')"
VIEW = """
import os
from stages.launch.view import View
from stages.launch.work import Result
view = View({"a": 1.0, "b": 1.0})
with view.shown("http://127.0.0.1:8787"):
    os.write(1, b"ready\\n")  # the table takes what Python prints
    input()
    view.finished(Result("a", (), None))
    view.finished(Result("b", (), "it failed"))
"""


@pytest.mark.parametrize("code", [SAY, VIEW], ids=["stage", "launch"])
def test_a_stage_and_a_launch_outlive_their_terminal(code: str) -> None:
    terminal, program = os.openpty()
    command = [sys.executable, "-c", f"{code}\nprint('done')"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=program) as process:
        os.close(program)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        os.close(terminal)
        assert process.communicate(b"\n", timeout=60)[0] == b"done\n"
    assert process.returncode == 0


def test_a_line_that_cannot_be_written_silences_none_after_it(tmp_path: Path) -> None:
    """A log on a disk that is full for a while."""
    code = """
import os
from stages.core.progress import say
kept = os.dup(2)
os.dup2(os.open("/dev/full", os.O_WRONLY), 2)
say("lost or late")
os.dup2(kept, 2)
say("written")
"""
    log = tmp_path / "log"
    with log.open("w") as file:
        subprocess.run([sys.executable, "-c", code], stderr=file, check=True)
    assert log.read_text().splitlines()[-1] == "written"
