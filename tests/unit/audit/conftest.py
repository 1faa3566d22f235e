"""A project with synthetic results whose hashes agree all along the chain, and the dvc.lock that goes with them."""

import json
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from stages.audit.explain import main
from stages.config.cells import CellKey
from stages.core.files import file_hash
from stages.records.evaluation import Evaluation, logits_path
from stages.records.provenance import Provenance, folder_md5
from stages.records.spec import spec_path
from tests.remembered import remembered_fingerprints, remembered_results, remembered_yaml
from tests.shared import shared_folder
from tests.unit.report.conftest import ROOT, Project, folder, short, spec


class Audited(Project):
    """A project as a fresh clone has it: reports and dvc.lock, no data and no weights."""

    CELLS = "reports/quick/cells"

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        shutil.copy(ROOT / "dvc.yaml", place)

    def put(self, key: CellKey, seed: int, budget: str) -> Path:
        """Write the result of a cell and seed, its logits, and the cell's spec."""
        spec(self.params, budget, key).write(spec_path(self.folder / "reports" / budget / "specs", str(key)))
        return super().put(key, seed, budget)

    def settle(self) -> "Audited":
        """Write the dvc.lock that goes with the results."""
        stages: dict[str, Any] = {}
        for path in sorted(self.cells.rglob("*.json")):
            result = Evaluation.read(path, "evaluate")
            stages |= entries(result, self.folder, path.relative_to(self.folder))
        (self.folder / "dvc.lock").write_text(lock_text(stages))
        return self

    def explain(self, *words: str) -> Result:
        return CliRunner().invoke(main, words)

    def answer(self, *words: str) -> Any:
        done = self.explain(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.output)


def entries(result: Evaluation, root: Path, path: Path) -> dict[str, Any]:
    """What dvc.lock has of all the stages behind a result, which is at `path` below `root`."""
    run, tested, dataset = result.run, result.provenance, result.dataset
    data, arrays = run.training_arrays
    test, test_arrays = result.test_arrays
    trained, files = result.run_folder
    raw = {f"data/raw/{dataset}": folder_md5(run.data.made_from.raw_md5)}
    predicted = {f"data/predictions/quick/{dataset}/{path.stem}": folder(path.stem, "labels.npy")["md5"]}
    results = {file.as_posix(): file_hash(root / file) for file in (path, logits_path(path))}
    settings = run.config.model_dump(mode="json", exclude={"seed"})
    testing = {"images": result.test_images}
    return {
        f"download@{dataset}": entry({"stages/download": short("download")}, raw),
        f"preprocess@quick-{dataset}": entry(
            {"stages/preprocess": short("preprocess"), **raw}, {data: arrays.md5, test: test_arrays.md5}
        ),
        run.stage: entry(
            hashes(run.provenance), {trained: files.md5}, asked(run.provenance, "train", settings=settings)
        ),
        result.stage: entry(hashes(tested), {**results, **predicted}, asked(tested, "evaluate", testing=testing)),
    }


def hashes(made: Provenance) -> dict[str, str]:
    return {path: found.md5 for path, found in made.inputs.items()}


def asked(made: Provenance, kind: str, **sections: Any) -> dict[str, Any]:
    """The parameters that DVC takes from a spec."""
    return {made.spec.path: {f"code.{kind}": made.code.sha256, **sections}}


def entry(deps: dict[str, str], outs: dict[str, str], params: dict[str, Any] | None = None) -> dict[str, Any]:
    lists = {
        kind: [{"path": path, "hash": "md5", "md5": found} for path, found in of.items()]
        for kind, of in (("deps", deps), ("outs", outs))
    }
    return {"cmd": "python -m stages.something", **lists} | ({"params": params} if params else {})


def lock_text(stages: dict[str, Any]) -> str:
    """dvc.lock, in the order of its entries and one to a line as DVC writes it."""
    text = StringIO()
    yaml = YAML(typ="safe")  # that of libyaml; DVC's own is written in Python
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # its stub says None
    yaml.dump({"schema": "2.0", "stages": stages}, text)
    return text.getvalue()


@pytest.fixture(scope="module", autouse=True)
def _remembered() -> Iterator[None]:
    with remembered_fingerprints(), remembered_results(), remembered_yaml():
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A whole project, made once for all workers. Copy it, change nothing."""

    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch, remembered_fingerprints(), remembered_yaml():
            patch.chdir(place)
            project = Audited(place)
            project.fill()
            project.settle()

    return Audited.at(shared_folder(tmp_path_factory, "audited", make))


@pytest.fixture
def audited(template: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Audited:
    """A whole project of its own, which is the working folder."""
    shutil.copytree(template.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Audited.at(tmp_path)
