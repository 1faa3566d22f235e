"""One writer a folder, across processes, and a killed one leaves no lock behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stages.core.errors import StageError
from stages.core.locks import exclusive

REPOSITORY = Path(__file__).resolve().parents[3]
HOLDER = """
import sys
from pathlib import Path
from stages.core.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _in_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def held_elsewhere(out: str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the lock of `out` until the block ends."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", HOLDER, out]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


def test_a_second_process_is_refused_at_once_and_let_in_afterwards() -> None:
    with held_elsewhere("data/runs/a"):
        refused = pytest.raises(StageError, match="data/runs/a is being written by another process; wait for it")
        with refused, exclusive(Path("data/runs/a")):
            pytest.fail("two writers")
        with exclusive(Path("data/runs/b")):  # another folder is another lock
            pass
    with exclusive(Path("data/runs/a")):
        pass


def test_a_folder_is_the_same_however_it_is_written() -> None:
    with held_elsewhere("data/../data/runs/a"), pytest.raises(StageError), exclusive(Path("data/runs/a").absolute()):
        pytest.fail("two writers")


def test_a_killed_process_holds_nothing() -> None:
    with held_elsewhere("data/runs/a") as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with exclusive(Path("data/runs/a")):
            pass


def test_the_lock_is_given_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="boom"), exclusive(Path("out")):
        raise ValueError("boom")
    with exclusive(Path("out")):
        pass
    assert not Path("out").exists()  # a lock makes no output folder
