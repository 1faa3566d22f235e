"""A command that is forked for a test is to its caller and to itself what the interpreter would have made of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.forks import SUPPORTED, Forks

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="commands are forked on Linux alone")
PROBE = """
import json, multiprocessing, os, sys, time

def main():
    if sys.argv[1] == "spawn":
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            print(pool.apply(os.getcwd), pool.apply(os.getpid) != os.getpid())
    elif sys.argv[1] == "sleep":
        print(os.getpid(), flush=True)
        time.sleep(60)
    elif sys.argv[1] == "raise":
        raise RuntimeError("what went wrong")
    else:
        said = {"argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "environment": dict(os.environ)}
        said |= {"umask": os.umask(0), "input": sys.stdin.read(), "executable": sys.executable, "name": __name__}
        said |= {"main": sys.modules["__main__"].__file__, "optimize": sys.flags.optimize, "parent": os.getppid()}
        print(json.dumps(said))
        print("said", file=sys.stderr)
        sys.exit(3)

if __name__ == "__main__":
    main()
"""


class Project:
    """A working folder with a command `stages.probe`, which has run once: it is forked from now on."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        (folder / "stages").mkdir(parents=True)
        (folder / "stages" / "probe.py").write_text(PROBE)
        self.folder, self.forks = folder, forks

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [self.forks.python, "-m", "stages.probe", *arguments],
            cwd=self.folder, env={**os.environ, **variables}, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )  # fmt: skip

    def run(self, *arguments: str, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **variables)
        out, err = process.communicate("input\n")
        return process.returncode, out, err

    def sleeping(self) -> tuple[subprocess.Popen[str], psutil.Process]:
        """A program that does nothing, and the process that it is."""
        program = self.start("sleep")
        assert program.stdout is not None
        process = psutil.Process(int(program.stdout.readline()))
        assert process.pid != program.pid
        return program, process


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    forks = Forks(tmp_path_factory.mktemp("f") / "forks")
    forks.start("stages", ["multiprocessing.spawn"])
    made = Project(tmp_path_factory.mktemp("project") / "here", forks)
    yield made
    forks.close()
    until = time.monotonic() + 60
    while (forks.folder / "stages").exists():  # the server ends with the last who may ask it
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_first_starts_from_nothing_and_the_second_finds_the_same(project: Project) -> None:
    first, second = (project.run("probe", "two words") for _ in range(2))
    assert (first[0], first[2]) == (second[0], second[2]) == (3, "said\n")
    parents = [text.rpartition('"parent": ')[2] for text in (first[1], second[1])]
    assert parents[0] == f"{os.getpid()}}}\n"
    assert parents[1] != parents[0]
    assert first[1].rpartition('"parent"')[0] == second[1].rpartition('"parent"')[0]
    assert '"input": "input\\n"' in second[1]


@pytest.mark.parametrize(("name", "value", "forked"), [("PYTHONOPTIMIZE", "1", False), ("DVC_STAGE", "train", True)])
def test_a_variable_that_may_be_read_at_the_start_is_there_at_the_start(
    project: Project, name: str, value: str, forked: bool
) -> None:
    project.run("probe")
    _, out, _ = project.run("probe", **{name: value})
    assert f'"{name}": "{value}"' in out
    assert (f'"parent": {os.getpid()}}}' not in out) is forked
    assert f'"optimize": {int(name == "PYTHONOPTIMIZE")}' in out


def test_an_error_and_processes_of_its_own(project: Project) -> None:
    project.run("probe")
    status, out, err = project.run("raise")
    assert (status, out) == (1, "")
    assert err.startswith("Traceback")
    assert err.endswith("RuntimeError: what went wrong\n")
    for _ in range(2):
        assert project.run("spawn") == (0, f"{project.folder} True\n", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_it(project: Project, number: signal.Signals) -> None:
    project.run("probe")
    program, process = project.sleeping()
    program.send_signal(number)
    _, err = program.communicate()
    assert program.returncode == -number
    assert ("KeyboardInterrupt" in err) is (number == signal.SIGINT)
    assert not process.is_running()


def test_a_kill_of_either_ends_both(project: Project) -> None:
    project.run("probe")
    program, process = project.sleeping()
    program.kill()
    program.communicate()
    process.wait(60)
    program, process = project.sleeping()
    process.kill()
    program.communicate()
    assert program.returncode == -signal.SIGKILL


def test_other_programs_are_the_interpreter(project: Project) -> None:
    said = subprocess.run(
        [project.forks.python, "-c", "import sys, pytest; print(sys.executable)"],
        capture_output=True, text=True, check=True
    )  # fmt: skip
    assert said.stdout == f"{project.forks.python}\n"
    assert sys.executable != project.forks.python
