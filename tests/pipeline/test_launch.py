"""`make launch` in a real DVC repository on real data: what it makes, what it refuses, and what it survives."""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from stages.launch.__main__ import main
from stages.records.attempts import Attempts, attempts_path
from tests.pipeline.conftest import Repository, copy_project, environment

MADE = [
    "data/runs",
    "data/predictions",
    "reports/quick/cells",
    "reports/quick/tables",
    ".dvc/cache/runs",
]
SAME = ("weights.safetensors", "history.json", "*.npy")
PATIENCE = 300  # seconds for something to happen, on a machine that does much else


class Launched:
    """A running launch; its output grows in a file."""

    def __init__(self, repository: Repository, *options: str, **variables: str) -> None:
        self.repository = repository
        self.log = repository.folder / ".cache" / "test.log"
        self.log.parent.mkdir(exist_ok=True)
        self._file: IO[bytes] = self.log.open("wb")
        self.process = subprocess.Popen(
            ["python", "-m", "stages.launch", *options],
            cwd=repository.folder,
            env=environment(**variables),
            stdout=self._file,
            stderr=self._file,
        )

    def until(self, happened: Callable[[], Any], what: str) -> Any:
        """Wait for something and return it; the launch must be running meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not (found := happened()):
            assert self.process.poll() is None, f"{what}: over before\n{self.said()}"
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s\n{self.said()}"
            time.sleep(0.1)
        return found

    def until_said(self, words: str) -> None:
        """Wait for words in its output."""
        self.until(lambda: words in self.said(), words)

    def end(self) -> int:
        """Wait for its end and return the exit status."""
        self.process.wait(PATIENCE)
        self._file.close()
        return self.process.returncode

    def said(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")

    def trainings(self) -> list[psutil.Process]:
        """The trainings that run in this checkout."""
        found = []
        for process in in_folder(self.repository.folder):
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                if "stages.train" in process.cmdline():
                    found.append(process)
        return found

    def resumable(self) -> list[psutil.Process]:
        """Those of its trainings that have a checkpoint."""
        found = []
        for process in self.trainings():
            with suppress(psutil.NoSuchProcess, ValueError):  # over by now
                command = process.cmdline()
                out = self.repository.folder / command[command.index("--out") + 1]
                found += [process] * out.with_name(f"{out.name}.checkpoint").exists()
        return found


def in_folder(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def left_behind(folder: Path, within: float = 10.0) -> list[psutil.Process]:
    """The processes that are still there after so many seconds: a mirror tells MLflow that its run was killed first."""
    end = time.monotonic() + within
    while (found := in_folder(folder)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def lock_entries(repository: Repository) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((repository.folder / "dvc.lock").read_text())["stages"]
    return found


def results(repository: Repository) -> dict[str, bytes]:
    """All that must have the same bytes whoever ran it."""
    files = [path for top in MADE[:3] for name in SAME for path in (repository.folder / top).rglob(name)]
    return {path.relative_to(repository.folder).as_posix(): path.read_bytes() for path in files}


def overview(repository: Repository) -> str:
    return (repository.folder / "reports/quick/tables/tables.md").read_text()


@pytest.fixture
def fresh(repository: Repository, tmp_path: Path) -> Iterator[Repository]:
    """A copy of the repository with its data, before any training."""
    folder = tmp_path / "project"
    copy_project(repository, folder, "runs", "predictions", "mlflow.db*", "mlartifacts")
    for name in MADE:
        shutil.rmtree(folder / name, ignore_errors=True)
    first = ("download", "preprocess", "resolve")
    kept = {name: entry for name, entry in lock_entries(repository).items() if name.startswith(first)}
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False  # as DVC writes it
    with (folder / "dvc.lock").open("w") as file:
        yaml.dump({"schema": "2.0", "stages": kept}, file)
    copy = Repository(folder)
    copy.run("git", "checkout", "-q", "--", "params.yaml", "stages")
    yield copy
    for process in in_folder(folder):
        process.kill()


def test_a_launch_makes_what_dvc_repro_makes_whatever_happens_to_it(repository: Repository, fresh: Repository) -> None:
    """Interrupted once, one of its workers killed; beside it a second launch and a dvc repro, that must not start."""
    first = Launched(fresh, "--jobs", "2")
    first.until_said("epoch 1/2")
    second = fresh.attempt("python", "-m", "stages.launch")
    assert (second.returncode, "Error: another launch runs in this checkout; wait" in second.stderr) == (1, True)
    beside = fresh.attempt("dvc", "repro", "--single-item", "train-mnist@quick-vgg11-0")
    assert beside.returncode != 0
    assert "is busy, it is being blocked by" in beside.stderr
    first.process.send_signal(signal.SIGINT)
    assert first.end() != 0
    assert "Traceback" not in first.said()
    assert left_behind(fresh.folder) == []
    assert set(lock_entries(fresh)) >= {"preprocess@quick-mnist", "preprocess@quick-cifar10"}

    again = Launched(fresh, "--jobs", "2")
    [killed, *_] = again.until(again.trainings, "a training")
    resumed = [path.read_text() for path in (fresh.folder / ".cache/launch").glob("train-*.log")]
    [killed, *_] = again.until(again.resumable, "a training with a checkpoint")
    psutil.Process(killed.ppid()).kill()
    assert again.end() == 0, again.said()
    assert not killed.is_running()
    assert "tables not made" not in again.said()  # they were made meanwhile
    assert (fresh.folder / ".cache/launch/aggregate-tables@quick.log").is_file()
    logs = [*resumed, *(path.read_text() for path in (fresh.folder / ".cache/launch").glob("train-*.log"))]
    assert any("going on after epoch" in log for log in logs)

    assert results(fresh) == results(repository)
    assert fresh.repro() == []
    tested = (json.loads(path.read_text()) for path in (fresh.folder / "reports/quick").rglob("*-s0.json"))
    assert len({found["run"]["mlflow"]["run_id"] for found in tested}) == 6
    once_more = fresh.run("python", "-m", "stages.launch", "--weights")
    assert "6 of 6 trainings are done" in once_more
    assert "Running stage" not in once_more
    shutil.rmtree(fresh.folder / "data/runs/quick/mnist/vgg11")
    assert "1 of 1 trainings are done" in fresh.run("python", "-m", "stages.launch", "--cells", "mnist/vgg11")
    assert not (fresh.folder / "data/runs/quick/mnist/vgg11").exists()
    weights = fresh.run("python", "-m", "stages.launch", "--cells", "mnist/vgg11", "--weights")
    assert "0 of 1 trainings are done" in weights
    assert results(fresh) == results(repository)  # out of DVC's run-cache


@pytest.mark.slow
def test_a_failing_cell_is_named_and_the_others_are_recorded(fresh: Repository) -> None:
    """The folder of its runs is a file, so that it cannot write; the tables are made of the others."""
    blocked = fresh.folder / "data/runs/quick/mnist/vgg11"
    blocked.parent.mkdir(parents=True)
    blocked.write_bytes(b"")
    done = fresh.attempt("python", "-m", "stages.launch", "--cells", "mnist/vgg11,mnist/resnet18")
    assert done.returncode == 1
    assert "Error: 1 of 2 failed, the others are done:\n" in done.stderr
    assert "mnist/vgg11" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    recorded = lock_entries(fresh)
    assert {"train-mnist@quick-resnet18-0", "evaluate-mnist@quick-resnet18-0"} <= set(recorded)
    assert not any("vgg11" in name for name in recorded)
    assert "aggregate-tables@quick" in recorded
    assert "**1 of 6 planned trainings are done.**" in overview(fresh)
    blocked.unlink()
    fresh.run("python", "-m", "stages.launch", "--cells", "mnist/vgg11")
    assert "**2 of 6 planned trainings are done.**" in overview(fresh)
    assert {"train-mnist@quick-vgg11-0", "evaluate-mnist@quick-vgg11-0"} <= set(lock_entries(fresh))


@pytest.mark.slow
def test_code_edited_while_a_launch_runs_keeps_its_cells_out_of_dvc_lock(fresh: Repository) -> None:
    launched = Launched(fresh, "--jobs", "1", "--cells", "mnist/resnet18")
    launched.until_said("epoch 1/2")
    source = fresh.folder / "stages/engine/seeding.py"
    source.write_text(source.read_text() + "\nEDITED = 1\n")
    assert launched.end() == 1
    assert "stages/engine/seeding.py changed while train-mnist@quick-resnet18-0 ran" in launched.said()
    assert not any("resnet18" in name for name in lock_entries(fresh))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--budget", "paper"], "--budget: 'paper' is not allowed; allowed: quick, which params.yaml chooses"),
        (
            ["--cells", "mnist/vgg17"],
            "--cells: 'mnist/vgg17' is not allowed; allowed: of those that params.yaml plans: ",
        ),
        (["--seeds", "0,7"], "--seeds: '7' is not allowed; allowed: of those that params.yaml plans: 0"),
    ],
)
def test_a_wrong_option_is_one_line(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(repository.folder)
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith(f"Error: {said}")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_one_line(fresh: Repository) -> None:
    done = fresh.attempt("python", "-m", "stages.launch", "--scheduler", "tcp://127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "Error: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers there"
    )
    assert "Traceback" not in done.stderr


# A cluster whose workers share no files


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(folder: Path, *command: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that runs in a folder meanwhile; its output is in `<folder>.log`."""
    with folder.with_name(f"{folder.name}.log").open("ab") as log:
        process = subprocess.Popen(
            ["python", *command], cwd=folder, env=environment(**variables), stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(PATIENCE)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.2)


def worker_in(fresh: Repository, name: str, scheduler: str, tracking: str, **variables: str) -> Any:
    """A Dask worker in a clone of its own, with a home of its own."""
    clone = fresh.folder.with_name(name)
    subprocess.run(["git", "clone", "-q", str(fresh.folder), str(clone)], check=True)
    home = fresh.folder.with_name(f"{name}-home")
    home.mkdir()
    shutil.copy2(fresh.folder / ".dvc" / "config", clone / ".dvc" / "config")
    command = ["-m", "distributed.cli.dask_worker", scheduler, "--nthreads", "1", "--name", name, "--no-dashboard"]
    places = {"HOME": str(home), "MLFLOW_TRACKING_URI": tracking}
    return serving(clone, *command, "--local-directory", str(home), **places, **variables)


@pytest.mark.slow
def test_workers_in_clones_of_their_own_make_the_same(repository: Repository, fresh: Repository) -> None:
    """A scheduler, two workers that share nothing but DVC's remote, a tracking server; one worker is killed.

    A third worker, at another commit, is named and takes no part.
    """
    remote, names = fresh.folder.with_name("remote"), ("one", "two")
    fresh.run("dvc", "remote", "add", "-d", "store", str(remote))
    port, tracking_port = free_port(), free_port()
    scheduler, tracking = f"tcp://127.0.0.1:{port}", f"http://127.0.0.1:{tracking_port}"
    server = fresh.folder.with_name("server")
    server.mkdir()
    store = ["--backend-store-uri", "sqlite:///mlflow.db", "--port", str(tracking_port), "--workers", "1"]
    with (
        serving(server, "-m", "mlflow", "server", *store, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        serving(fresh.folder, "-m", "distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard"),
        worker_in(fresh, "one", scheduler, tracking),
        worker_in(fresh, "two", scheduler, tracking),
    ):
        other = fresh.folder.with_name("other")
        with worker_in(fresh, "other", scheduler, tracking) as stranger:
            author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
            subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "another"], cwd=other, check=True)
            wait_for(tracking_port)
            options = ["--scheduler", scheduler, "--cells", "mnist/vgg11,mnist/resnet18"]
            launched = Launched(fresh, *options, MLFLOW_TRACKING_URI=tracking)
            launched.until_said("worker other at tcp://")
            launched.until_said("takes no part: commit ")
            launched.until_said("epoch 1/2")
            clones = {str(fresh.folder.with_name(name)) for name in names}
            launched.until(lambda: list(remote.glob("checkpoints/**/*.checkpoint")), "a checkpoint in the remote")
            [training, *_] = launched.until(
                lambda: [p for clone in clones for p in in_folder(Path(clone)) if "stages.train" in p.cmdline()],
                "a training",
            )
            psutil.Process(training.ppid()).kill()
            assert launched.end() == 0, launched.said()
            assert stranger.poll() is None
    cells = ("/mnist/vgg11", "/mnist/resnet18/", "/mnist/resnet18-s0")
    expected = {name: content for name, content in results(repository).items() if any(cell in name for cell in cells)}
    assert results(fresh) == expected
    assert len(expected) == 2 * 4
    assert [*remote.glob("checkpoints/**/*.checkpoint"), *remote.glob("checkpoints/**/*.attempts")] == []
    before, started = (Attempts.read(one.folder / attempts_path("quick")) for one in (repository, fresh))
    known = {one.start.sha256 for one in before.trainings}
    new = [one for one in started.trainings if one.start.sha256 not in known]
    assert sorted((str(one.start.cell), one.outcome) for one in new) == [
        ("mnist/resnet18", "finished"),
        ("mnist/vgg11", "finished"),
    ]
    assert sum(len(one.resumes) for one in new) <= 1  # by the worker that took the lost one's place
    assert started.removed == []
    runs = [fresh.folder / f"data/runs/quick/mnist/{cell}/s0/run.json" for cell in ("resnet18", "vgg11")]
    records = [json.loads(run.read_text()) for run in runs]
    assert {one.end.run for one in new if one.end} == {record["binding"] for record in records}
    stale = fresh.stale()
    assert not stale & {stage for stage in lock_entries(fresh) if stage.startswith(("train-mnist", "evaluate-mnist"))}
