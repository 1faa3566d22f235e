"""The real training command, killed nine times and once out of disk: it goes on and ends with the same bits.

One training is started again after each kill. Each moment leaves another state behind; order and delays are drawn from
a seed:

    1 at `start`    while Python and PyTorch are still being imported, or the checkpoint is read
    3 at `running`  within 0.3 s after one of the first lines of the log: anywhere in an epoch, or between two
    2 at `writing`  while a checkpoint is being written, as its temporary file grows
    2 at `renamed`  when a new checkpoint has just taken the place of the one before
    1 at `ending`   while the weights are being written, after the last epoch

The starts that are killed at `start`, run out of disk or run to the end are `python -m stages.train`. The others are
forks of a process that has imported PyTorch already and then runs the same `main`: importing would be most of the test.
"""

import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from stages.config.loading import load_params
from stages.preprocess.__main__ import description, save_array
from stages.records.canonical import CANONICAL
from stages.records.data import MadeFrom
from stages.records.provenance import Provenance
from stages.track.describe import TrainingStart
from stages.train.__main__ import identity
from tests.shipped import shipped_params
from tests.unit.report.conftest import trained

ROOT = Path(__file__).resolve().parents[3]
CELL, EPOCHS, SEED = "mnist/resnet18", 10, 3
DATA, RUNS = "data/processed/quick/mnist/train", "data/runs"
SHARE = {"images": 24, "validation_images": 10, "sample_images": 10, "epochs": EPOCHS}
VGG = {"input_size": 32, "batch_size": 16, "hidden_layers": []}
FIRST, SHUFFLED, LAST = ["start", "running", "renamed"], [*["running"] * 2, *["writing"] * 2, "renamed"], ["ending"]
WRITTEN = {"weights.safetensors", "history.json", "run.json"}
PATIENCE = 200  # seconds until the moment of a kill must have come, on a machine that does much else


class Project:
    """A copy of the project in a git repository of its own, with a shrunk cell and made-up images."""

    def __init__(self, folder: Path, forked: str) -> None:
        self.folder, self.forked = folder, forked
        for name in ("stages", "params.yaml", "dvc.yaml", "requirements.lock", ".gitignore"):
            source, target = ROOT / name, folder / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        params = YAML(typ="safe").load((folder / "params.yaml").read_text())
        budget = params["budgets"]["quick"]
        budget["device"] = "cpu"
        budget["train"]["mnist"]["default"] |= SHARE
        budget["train"]["mnist"] |= {"vgg": {"overrides": VGG}, "googlenet": {}}
        budget["augmented_images"]["mnist"] = SHARE["images"]
        with (folder / "params.yaml").open("w") as file:
            YAML().dump(params, file)
        self._make_data()
        resolve = [forked, "-m", "stages.resolve", "--budget", "quick", "--out", "reports/quick/specs"]
        subprocess.run(resolve, cwd=folder, check=True)
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *author, "commit", "-qm", "shrunk"], cwd=folder, check=True)

    def _make_data(self) -> None:
        random_numbers = np.random.default_rng(0)
        settings = load_params(self.folder / "params.yaml").datasets.mnist
        arrays = {}
        for part, count in (("train", SHARE["images"]), ("validation", SHARE["validation_images"])):
            arrays[f"{part}_images"] = random_numbers.integers(0, 256, (count, 1, 28, 28), np.uint8)
            arrays[f"{part}_labels"] = random_numbers.integers(0, 10, count, np.uint8)
        hashes = {name: save_array(self.folder / DATA / f"{name}.npy", array) for name, array in arrays.items()}
        hashes |= dict.fromkeys(("augmented_images", "test_images", "test_labels"), "0" * 64)
        raw = self.folder / "data" / "raw" / "mnist"
        raw.mkdir(parents=True)
        for spec in CANONICAL["mnist"]:
            (raw / spec.name).write_bytes(b"")
        described = description("mnist", settings, 0, raw, arrays["train_images"], hashes)
        made_from = MadeFrom(  # as if these images were the real ones
            settings=described.made_from.settings,
            raw_md5={spec.name: spec.md5 for spec in CANONICAL["mnist"]},
            raw_sha256={spec.name: spec.sha256 for spec in CANONICAL["mnist"]},
        )
        described.model_copy(update={"made_from": made_from}).write(self.folder / DATA / "dataset.json")

    def arguments(self, out: Path) -> list[str]:
        chosen = [CELL, "--budget", "quick", "--seed", str(SEED)]
        return [*chosen, "--data", DATA, "--out", str(out), "--no-mlflow"]

    def start(self, out: Path, log: Path, *before: str) -> subprocess.Popen[bytes]:
        """Start a training; `before` is a command that runs it."""
        command = [*before, sys.executable, "-m", "stages.train", *self.arguments(out)]
        with log.open("wb") as file:
            return subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=file, stderr=file)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}


class Forks:
    """A process that forks trainings; what it forks is the training that it is asked for."""

    PROGRAM = """
import json, os, sys
import torch
import stages.engine.training
from stages.train.__main__ import main

for line in sys.stdin:
    log, arguments = json.loads(line)
    child = os.fork()
    if not child:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, 1), os.dup2(file, 2)
        main(arguments)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

    def __init__(self, project: Project) -> None:
        command, pipe = [project.forked, "-c", self.PROGRAM], subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=project.folder, env=environment(), stdin=pipe, stdout=pipe, text=True
        )
        self.project = project

    def start(self, out: Path, log: Path) -> "Forked":
        """Fork a training."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        log.write_bytes(b"")
        self.process.stdin.write(json.dumps([str(log), self.project.arguments(out)]) + "\n")
        self.process.stdin.flush()
        return Forked(int(self.process.stdout.readline()), self.process.stdout)

    def close(self) -> None:
        """End the process, which has no training running."""
        self.process.communicate()


class Forked:
    """As much of subprocess.Popen as is needed here, for a process that another one has started."""

    def __init__(self, pid: int, answers: IO[str]) -> None:
        self.pid, self.answers = pid, answers
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self.answers], [], [], 0)[0]:
            self.returncode = int(self.answers.readline())
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = int(self.answers.readline())
        return self.returncode


Running = subprocess.Popen[bytes] | Forked


class Chain:
    """One training with its restarts."""

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.forks = project, Forks(project)
        self.out = project.folder / RUNS / name / f"s{SEED}"
        self.checkpoint = self.out.with_name(f"s{SEED}.checkpoint")
        self.log = project.folder / f"{name}.log"
        self.draw = random.Random(name)  # noqa: S311 - no secret
        self.killed: list[str] = []
        self.gone_on: list[int] = []
        self.torn = 0

    def run(self) -> None:
        """All kills, and a last start that is left alone."""
        try:
            for moment in FIRST:
                self.kill(moment)
            self.fill_disk()
            for moment in [*self.draw.sample(SHUFFLED, len(SHUFFLED)), *LAST]:
                self.kill(moment)
        finally:
            self.forks.close()
        self.finish()

    @contextmanager
    def started(self, start: Callable[[Path, Path], Running]) -> Iterator[Running]:
        """A running training, which is gone afterwards; notes whether it said that it goes on."""
        running = start(self.out, self.log)
        try:
            yield running
        finally:
            running.kill()
            running.wait()
            said = self.log.read_text()
            self.gone_on += [int(line.split()[4]) for line in said.splitlines() if line.startswith("going on after")]
            assert "Traceback" not in said, said
            assert "is not used" not in said, said

    def kill(self, moment: str) -> None:
        """Start the training and kill it at that moment."""
        while not self.killed_at(moment):
            shutil.rmtree(self.out)  # it was done before its moment came: once more from the beginning
        self.killed.append(moment)
        if moment == "writing":
            self.torn += any(path != self.checkpoint for path, _ in files(self.out.parent))

    def killed_at(self, moment: str) -> bool:
        with self.started(self.project.start if moment == "start" else self.forks.start) as running:
            until = time.monotonic() + PATIENCE
            for reached in getattr(self, moment)():
                if reached:
                    running.kill()
                elif running.poll() is not None:
                    break
                assert time.monotonic() < until, self.log.read_text()
                time.sleep(0.001)
            running.wait()
        assert running.returncode in (0, -signal.SIGKILL), self.log.read_text()
        return running.returncode != 0

    def start(self) -> Iterator[bool]:
        yield from self.after(self.draw.uniform(0, 4))

    def running(self) -> Iterator[bool]:
        lines = self.draw.randint(1, 3)
        while self.log.read_text().count("\n") < lines:
            yield False
        yield from self.after(self.draw.uniform(0, 0.3))

    def writing(self) -> Iterator[bool]:
        """A new file beside the run has some size."""
        before = {self.checkpoint, *(path for path, _ in files(self.out.parent))}
        while not any(size for path, size in files(self.out.parent) if path not in before):
            yield False
        yield from self.after(self.draw.uniform(0, 0.02))

    def renamed(self) -> Iterator[bool]:
        before = self.inode()
        while self.inode() in (before, None):
            yield False
        yield True

    def ending(self) -> Iterator[bool]:
        while not files(self.out):
            yield False
        yield from self.after(self.draw.uniform(0, 0.05))

    def after(self, seconds: float) -> Iterator[bool]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            yield False
        yield True

    def inode(self) -> int | None:
        try:
            return self.checkpoint.stat().st_ino
        except FileNotFoundError:
            return None

    def fill_disk(self) -> None:
        """No file may grow beyond half a megabyte: the next checkpoint cannot be written, and the one there stays."""
        before = self.checkpoint.read_bytes()
        limited = "sh", "-c", 'ulimit -f 1000; exec "$@"', "sh"
        with self.started(lambda out, log: self.project.start(out, log, *limited)) as running:
            assert running.wait() == 1
        last = self.log.read_text().splitlines()[-1]
        assert last.startswith("Error: ")
        assert "cannot be written" in last
        assert last.endswith("stays. Make room, and start again")
        assert self.checkpoint.read_bytes() == before
        assert [path for path, _ in files(self.out.parent)] == [self.checkpoint]

    def finish(self) -> None:
        with self.started(self.project.start) as running:
            assert running.wait() == 0, self.log.read_text()


def files(folder: Path) -> list[tuple[Path, int]]:
    """All files below a folder in which others are coming and going, and their sizes."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            try:
                found.append((path, path.stat().st_size))
            except FileNotFoundError:
                continue
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, forked: str) -> Project:
    return Project(tmp_path_factory.mktemp("project"), forked)


def unbroken(project: Project) -> Path:
    """The folder of an undisturbed run."""
    folder, log = project.folder / RUNS / "unbroken" / f"s{SEED}", project.folder / "unbroken.log"
    assert project.start(folder, log).wait() == 0, log.read_text()
    return folder


@pytest.mark.slow
def test_nine_kills_and_a_full_disk_change_no_bit(project: Project) -> None:
    chain = Chain(project, "killed")
    with ThreadPoolExecutor() as pool:
        reference = pool.submit(unbroken, project)
        chain.run()
    expected = reference.result()
    assert json.loads((expected / "run.json").read_text())["resumed_after"] == 0
    assert len(json.loads((expected / "history.json").read_text())) == EPOCHS
    for name in ("weights.safetensors", "history.json"):
        assert (chain.out / name).read_bytes() == (expected / name).read_bytes()
    record = json.loads((chain.out / "run.json").read_text())
    assert (record["outcome"], record["provenance"]["git"]["dirty"]) == ("finished", False)
    assert len(record["times"]["epochs"]) == EPOCHS
    assert record["resumed_after"] == chain.gone_on[-1] == EPOCHS  # the last kill came after the last epoch
    assert len(set(chain.gone_on)) > 2  # the others before
    assert chain.torn > 0
    assert sorted(chain.killed) == sorted([*FIRST, *SHUFFLED, *LAST])
    left = {path.relative_to(project.folder / RUNS).as_posix() for path, _ in files(project.folder / RUNS)}
    assert left == {f"{run}/s{SEED}/{name}" for run in ("unbroken", "killed") for name in WRITTEN}


# What a checkpoint belongs to


NUMERICS: dict[str, Any] = {
    "device": "cpu",
    "precision": "bfloat16",
    "threads": 1,
    "backend": {"torch": "2.14.1", "instructions": ["avx2", "sha"], "processor": "AMD EPYC", "l1d_cache": 32768},
}


def found(start: TrainingStart, taken: Provenance, numerics: dict[str, Any] = NUMERICS) -> dict[str, Any]:
    return identity(start, taken, numerics)


@pytest.fixture(scope="module")
def start() -> TrainingStart:
    params = shipped_params()
    run, _ = trained(params, "quick", params.find(CELL)[0], 0)
    return TrainingStart.of(run)


@pytest.fixture(scope="module")
def taken() -> Provenance:
    params = shipped_params()
    run, _ = trained(params, "quick", params.find(CELL)[0], 0)
    return run.provenance


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    assert before.keys() == after.keys()
    return [key for key in before if before[key] != after[key]]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"cell": "mnist/vgg16"}, "cell"),
        ({"budget": "paper"}, "cell"),
        ({"started": "2026-01-01T00:00:00+00:00"}, None),
        ({"folder": "elsewhere"}, None),
    ],
)
def test_what_is_trained_is_in_the_identity_of_a_checkpoint(
    start: TrainingStart, taken: Provenance, changed: dict[str, Any], name: str | None
) -> None:
    after = found(start._replace(**changed), taken)
    assert differing(found(start, taken), after) == ([name] if name else [])


def test_settings_and_data_are_in_the_identity_of_a_checkpoint(start: TrainingStart, taken: Provenance) -> None:
    before = found(start, taken)
    longer = start.settings.model_copy(update={"epochs": start.settings.epochs + 1})
    assert differing(before, found(start._replace(settings=longer), taken)) == ["settings"]
    others = start.data.model_copy(update={"sha256": start.data.sha256 | {"train_images": "0" * 64}})
    assert differing(before, found(start._replace(data=others), taken)) == ["data"]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"packages": {"torch": "3", "torchvision": "1", "numpy": "2"}}, "software"),
        ({"python": "3.12.7"}, "software"),
        ({"python": "3.11.9"}, None),  # a patch of Python changes no bit
        ({"variables": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}, "variables"),  # other kernels, other bits
        ({"variables": {"MKL_NUM_THREADS": "2"}}, None),  # a training sets its number of threads itself
        ({"speed_variables": {"OMP_WAIT_POLICY": "PASSIVE"}}, None),
        ({"processor": "another with the same instructions"}, None),
        ({"memory_gib": 1.0}, None),
    ],
)
def test_the_machine_is_in_the_identity_of_a_checkpoint_as_far_as_it_decides_bits(
    start: TrainingStart, taken: Provenance, changed: dict[str, Any], name: str | None
) -> None:
    packages = {"torch": "2.14.1", "torchvision": "0.29.1", "numpy": "2.4.6"}
    before = taken.model_copy(update={"environment": taken.environment.model_copy(update={"packages": packages})})
    machine = before.environment.model_copy(update=changed)
    after = found(start, taken.model_copy(update={"environment": machine}))
    assert differing(found(start, before), after) == ([name] if name else [])


def test_the_code_is_in_the_identity_of_a_checkpoint(start: TrainingStart, taken: Provenance) -> None:
    code = taken.code.model_copy(update={"sha256": "0" * 64})
    assert differing(found(start, taken), found(start, taken.model_copy(update={"code": code}))) == ["code"]
    sources = taken.model_copy(update={"sources": {"stages/train/__main__.py": "0" * 32}})
    assert differing(found(start, taken), found(start, sources)) == []


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"device": "cuda: another"}, False),
        ({"precision": "float32"}, False),
        ({"threads": 2}, False),
        ({"backend": NUMERICS["backend"] | {"torch": "2.15"}}, False),
        ({"backend": NUMERICS["backend"] | {"instructions": ["avx2", "avx512_f", "sha"]}}, False),
        ({"backend": NUMERICS["backend"] | {"instructions": ["avx2"]}}, True),  # no product depends on sha
        ({"backend": NUMERICS["backend"] | {"processor": "Intel Xeon"}}, False),  # MKL asks for the vendor
        ({"backend": NUMERICS["backend"] | {"processor": "AMD Ryzen", "l1d_cache": 49152}}, True),
    ],
)
def test_numerics_are_in_the_identity_of_a_checkpoint(
    start: TrainingStart, taken: Provenance, changed: dict[str, Any], same: bool
) -> None:
    after = found(start, taken, NUMERICS | changed)
    assert differing(found(start, taken), after) == ([] if same else ["numerics"])
