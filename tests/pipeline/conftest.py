"""A real DVC repository in a temporary folder: the project's own files and its own params.yaml, shrunk."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.forks import forks, programs
from tests.shared import shared_folder
from tests.shipped import ROOT, without_additions

KEPT = {
    "I": ["VGG11"],
    "II": ["ResNet18", "ResNet18 with SGD"],
    "V": ["ResNet18 with lr=0.01"],
    "VI": ["GoogLeNet with SGD"],
}
STUDY = "resnet18-lr1e-2-optimizer"  # of Table V's row, with one alternative planned
SHARE = {"images": 96, "validation_images": 50, "sample_images": 50, "epochs": 2}


class Repository:
    """Runs DVC in the temporary repository and says what ran."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = ""

    def repro(self, *arguments: str) -> list[str]:
        """`dvc repro`, and the names of the stages that ran, in order."""
        self.log = self.run("dvc", "repro", *arguments)
        return [line.split("'")[1] for line in self.log.splitlines() if line.startswith("Running stage '")]

    def stale(self) -> set[str]:
        """The stages that differ from dvc.lock; those downstream of them join once their inputs have changed."""
        return set(json.loads(self.run("dvc", "status", "--json").splitlines()[-1]))

    def run(self, *command: str) -> str:
        """Run a command in the repository and return what it printed; a failure fails the test with its output."""
        done = self.attempt(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the repository to its end."""
        running = self.start(*command)
        out, err = running.communicate()
        return subprocess.CompletedProcess(command, running.returncode, out, err)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in the repository."""
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=pipe, stderr=pipe, text=True)

    def commit(self, message: str) -> None:
        """Commit all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", message)

    def edit_params(self, change: Callable[[Any], None]) -> None:
        """Change params.yaml as a user would."""
        path = self.folder / "params.yaml"
        params = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        change(params)
        with path.open("w", encoding="utf-8") as file:
            YAML().dump(params, file)


@pytest.fixture(scope="session", autouse=True)
def _forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`python` and `dvc` of `environment` are those that fork, where there are any."""
    with forks(tmp_path_factory, "stages", "mirrors"):
        yield


def environment(**variables: str) -> dict[str, str]:
    """That of this process with its own programs first, no tracking server of the user's, and some `variables`."""
    path = os.pathsep.join([*programs(), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    if folder := kept.get("DATASETS_FOLDER"):
        kept["DATASETS_FOLDER"] = str(Path(folder).expanduser().absolute())  # relative to where the tests were started
    return {**kept, "PATH": path, **variables}


def shrink(params: Any) -> None:
    """Keep a few rows (every family, both data sets), two short epochs on few images, and the one study."""
    params |= without_additions(params)
    params["tables"] = {
        number: table
        | {"rows": [{"row": row["row"], "cell": row["cell"]} for row in table["rows"] if row["row"] in KEPT[number]]}
        for number, table in params["tables"].items()
        if number in KEPT
    }
    studies = {STUDY: params["studies"][STUDY]}
    params["studies"] = studies
    for dataset in ("mnist", "cifar10"):
        rows = [
            row["cell"] for table in params["tables"].values() if table["dataset"] == dataset for row in table["rows"]
        ]
        tried = [name for study in studies.values() if study["dataset"] == dataset for name in study["alternatives"]]
        for section, names in (("cells", rows), ("alternatives", tried)):
            params[section][dataset] = {name: params[section][dataset][name] for name in names}
        for share in params["budgets"]["quick"]["train"][dataset].values():
            share |= SHARE
        params["budgets"]["quick"]["test_images"][dataset] = 100
        params["budgets"]["quick"]["augmented_images"][dataset] = SHARE["images"]
    params["figures"] = [figure for figure in params["figures"] if figure["cell"] in params["cells"][figure["dataset"]]]


def make(folder: Path) -> None:
    """Run the shrunk project once from the raw data to the tables: real MNIST and CIFAR10, real DVC, real MLflow."""
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in filter(None, files):
        if not name.startswith(("reports/", "tests/", ".dvc/", "dvc.lock")) and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    project = Repository(folder)
    project.edit_params(shrink)
    project.run("git", "init", "-q")
    project.run("dvc", "init", "-q")
    shutil.copy2(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots")
    project.commit("shrunk")
    project.run("git", "gc", "-q")  # a few files to copy where there were hundreds
    ran = project.repro()
    assert {"resolve@quick", "aggregate-tables@quick", "audit-paper"} <= set(ran)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The shrunk project after its run, the same for all workers. Read it, change nothing."""
    return Repository(shared_folder(tmp_path_factory, "project", make))


def copy_project(repository: Repository, folder: Path, *left_out: str) -> None:
    """Copy the project without the names that are left out.

    Data and DVC's cache are linked: nothing writes to them in place.
    """

    def copy(source: str, target: str) -> None:
        inside = Path(source).relative_to(repository.folder).as_posix()
        (os.link if inside.startswith(("data/", ".dvc/cache/")) else shutil.copy2)(source, target)

    shutil.copytree(repository.folder, folder, copy_function=copy, ignore=shutil.ignore_patterns(*left_out))
