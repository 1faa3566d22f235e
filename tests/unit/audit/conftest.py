"""A project with synthetic results whose hashes agree all along the chain, and the dvc.lock that goes with them."""

import json
import shutil
from hashlib import md5, sha256
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from stages.audit.explain import main
from stages.core.files import file_hash, json_text
from stages.records.provenance import folder_md5
from tests.unit.report.conftest import ROOT, Project, folder, short


class Audited(Project):
    """A project as a fresh clone has it: reports and dvc.lock, no data and no weights."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self.cells = place / "reports" / "quick" / "cells"
        shutil.copy(ROOT / "dvc.yaml", place)

    def settle(self) -> "Audited":
        """Make the hashes in every result agree with its contents, and dvc.lock with the results."""
        stages: dict[str, Any] = {}
        for path in sorted(self.cells.rglob("*.json")):
            content = json.loads(path.read_text())
            agree(content)
            path.write_text(json_text(content))
            stages |= entries(content, path.relative_to(self.folder).as_posix(), file_hash(path))
        (self.folder / "dvc.lock").write_text(lock_text(stages))
        return self

    def explain(self, *words: str) -> Result:
        return CliRunner().invoke(main, words)

    def answer(self, *words: str) -> Any:
        done = self.explain(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)


def agree(content: dict[str, Any]) -> None:
    """Set the hashes that follow from a result's own parts: of the description, the history and the run record."""
    run, evaluated = content["run"], content["evaluated"]
    (data,) = (path for path in run["deps"] if path.endswith("/train"))
    description = md5(json_text(run["data"]).encode(), usedforsecurity=False).hexdigest()
    run["deps"][data]["files"]["dataset.json"] = description
    run["deps"][data]["md5"] = folder_md5(run["deps"][data]["files"])
    evaluated["deps"][f"{data}/dataset.json"]["md5"] = description
    run["sha256"]["history.json"] = sha256(json_text(content["history"]).encode()).hexdigest()
    (trained,) = (found for path, found in evaluated["deps"].items() if path.startswith("data/runs"))
    for name, part in (("history.json", content["history"]), ("run.json", run)):
        trained["files"][name] = md5(json_text(part).encode(), usedforsecurity=False).hexdigest()
    trained["md5"] = folder_md5(trained["files"])


def entries(content: dict[str, Any], path: str, result_md5: str) -> dict[str, Any]:
    """What dvc.lock has of all the stages behind a result."""
    run, evaluated, dataset = content["run"], content["evaluated"], content["dataset"]
    (data,) = (name for name in run["deps"] if name.endswith("/train"))
    (trained,) = (name for name in evaluated["deps"] if name.startswith("data/runs"))
    test = data.removesuffix("train") + "test"
    raw = {f"data/raw/{dataset}": folder_md5(run["data"]["made_from"]["raw_md5"])}
    name = path.rpartition("/")[2].removesuffix(".json")
    arrays = {data: run["deps"][data]["md5"], test: evaluated["deps"][test]["md5"]}
    predicted = {f"data/predictions/quick/{dataset}/{name}": folder(name, "logits.npy")["md5"]}
    return {
        f"download@{dataset}": entry({"stages/fetch": short("fetch")}, raw),
        f"preprocess@quick-{dataset}": entry({"stages/prepare": short("prepare"), **raw}, arrays),
        content["stages"]["train"]: entry(
            hashes(run["deps"]), {trained: evaluated["deps"][trained]["md5"]}, run["params"]
        ),
        content["stages"]["evaluate"]: entry(
            hashes(evaluated["deps"]), {path: result_md5, **predicted}, evaluated["params"]
        ),
    }


def hashes(deps: dict[str, Any]) -> dict[str, str]:
    return {path: found["md5"] for path, found in deps.items()}


def entry(deps: dict[str, str], outs: dict[str, str], params: dict[str, Any] | None = None) -> dict[str, Any]:
    lists = {
        kind: [{"path": path, "hash": "md5", "md5": found} for path, found in of.items()]
        for kind, of in (("deps", deps), ("outs", outs))
    }
    return {"cmd": "python -m stages.something", **lists} | ({"params": {"params.yaml": params}} if params else {})


def lock_text(stages: dict[str, Any]) -> str:
    """dvc.lock as DVC's own writer lays it out."""
    text = StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump({"schema": "2.0", "stages": stages}, text)
    return text.getvalue()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A whole project, made once. Copy it, change nothing."""
    place = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        project = Audited(place)
        project.fill()
        return project.settle()


@pytest.fixture
def audited(template: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audited:
    """A whole project of its own, which is the working folder."""
    shutil.copytree(template.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    project = Audited.__new__(Audited)
    project.folder, project.cells = tmp_path, tmp_path / "reports" / "quick" / "cells"
    return project
