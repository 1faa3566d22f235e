"""`verify` on a project in git whose records are of its real sources, specs and pages; nothing is trained for it.

Data and weights are not there, as on a fresh clone, so that what holds is `recounted`. tests/pipeline/test_verify.py
has the same with real trainings.
"""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import zlib
from base64 import b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from stages.aggregate_tables import main as aggregate_tables
from stages.architectures.groups import groups_of_cells
from stages.architectures.pages import architecture_files
from stages.audit import derive, history, rerun
from stages.audit.architectures import build_anew, check_architectures
from stages.audit.checks import check_number
from stages.audit.compare import PageFindings
from stages.audit.disk import Disk
from stages.audit.earlier import check_earlier
from stages.audit.explain import main as explain
from stages.audit.findings import Finding
from stages.audit.numbers import Number, planned
from stages.audit.pipeline import Stage, Stages
from stages.audit.recount import _same_picture, classes_of
from stages.audit.started import check_attempts
from stages.audit.verify import main
from stages.audit.workspace import Workspace
from stages.audit_paper.__main__ import main as audit_paper
from stages.config.loading import load_params
from stages.config.params import Params
from stages.config.reading import read_yaml
from stages.core.errors import StageError
from stages.core.files import digest, file_hash, json_text, write_bytes
from stages.evaluate.metrics import score
from stages.evaluate.mistakes import most_confused
from stages.records.architecture import Networks
from stages.records.attempts import Journal, attempts_path, begin
from stages.records.data import DatasetDescription
from stages.records.evaluation import Evaluation, logits_path
from stages.records.provenance import Dependency, SpecReference, folder_md5, git_state, hash_dependency, source_hashes
from stages.records.spec import Spec, resolve_specs, spec_path, write_specs
from stages.report import curves
from tests.unit.audit.conftest import lock_text
from tests.unit.report.conftest import LOADED, ROOT, _tested, agreed, npy, other_array, pinned, scored, short, synthetic
from tests.unpickling import no_unpickling

CELLS = ("mnist/resnet18-sgd", "mnist/resnet18", "cifar10/resnet18-lr1e-2-sgd")
CELL = CELLS[0]
ROW = ("II", "ResNet18 with SGD")
RESULT, LOGITS = f"reports/quick/cells/{CELL}-s0.json", f"reports/quick/cells/{CELL}-s0.npy"
SPEC = f"reports/quick/specs/{CELL}.json"
TRAIN, EVALUATE = "train-mnist@quick-resnet18-sgd-0", "evaluate-mnist@quick-resnet18-sgd-0"
TAKEN = f"{RESULT}.provenance"
SPECS = Path("reports/quick/specs")
ENGINE = "stages/engine/seeding.py"
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")
BEFORE = "2026-11-24T04:12:00+00:00"  # the synthetic trainings start a moment later


def git(*arguments: str, at: str = BEFORE) -> str:
    environment = {**os.environ, "GIT_COMMITTER_DATE": at}
    done = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


def commit(*paths: str, at: str = BEFORE) -> str:
    git("add", "-A", *paths)
    git(*IDENTITY, "commit", "-qm", "x", at=at)
    return git("rev-parse", "HEAD")


class Project:
    """The working folder: a repository with results of three cells."""

    @property
    def params(self) -> Params:
        text = Path("params.yaml").read_text()
        if text not in LOADED:
            LOADED[text] = load_params()
        return LOADED[text]

    def build(self) -> "Project":
        """Sources and params.yaml, committed; then what the stages would have made of them."""
        shutil.copytree(ROOT / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("paper", "labels"):
            shutil.copytree(ROOT / "data" / name, f"data/{name}")
        for name in ("dvc.yaml", "requirements.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, name)
        Path("params.yaml").write_text(pinned())
        git("init", "-q")
        commit("stages", "data", "dvc.yaml", "requirements.lock", "pyproject.toml", "params.yaml")
        git("gc", "-q")  # a few files to copy where there were hundreds
        return self.make().pages()

    def make(self) -> "Project":
        """Everything that the stages make but the pages of the results, of what the working folder has now."""
        params = self.params
        specs = {spec.cell: spec for spec in resolve_specs(params, "quick")}
        write_specs(list(specs.values()), SPECS)
        for cell in CELLS:
            self.put(params, specs[cell])
        if not attempts_path("quick").exists():
            begin(attempts_path("quick"), params, git("rev-parse", "HEAD"))
        for dataset in ("mnist", "cifar10"):
            write_bytes(f"reports/quick/samples/{dataset}/none.png", b"")
        self.networks(lambda found: None)
        self.forge_lock()
        return self

    def networks(self, change: Callable[[dict[str, Any]], None]) -> None:
        """networks.json with the sizes that the results have, changed, and all pages that are rendered from it."""
        sizes = {"parameters": 11_181_642, "multiply_adds": 37_000_000}
        layer = {"name": "fc", "type": "linear 10", "output_shape": "10", "training_only": False, **sizes}
        block = {"title": "fc", "layers": ["linear 10"], "output_shape": "10", "training_only": False, **sizes}
        every = [one.model_dump() for one in groups_of_cells(self.params, "quick")]
        networks = [{**one, **sizes, "layers": [layer], "blocks": [block]} for one in every]
        found: dict[str, Any] = json.loads(json.dumps({"budget": "quick", "networks": networks}))
        change(found)
        for name, text in architecture_files(Networks.model_validate(found)).items():
            write_bytes(f"reports/quick/architectures/{name}", text.encode())

    def pages(self) -> "Project":
        """The pages of the results that are here, with figures as PNG alone, and the dvc.lock of all of it."""
        stages = Stages("quick", self.params)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(curves, "OPTIONS", {".png": curves.OPTIONS[".png"]})
            for stage, command in ((stages.paper(), audit_paper), (stages.tables(), aggregate_tables)):
                done = CliRunner().invoke(command, shlex.split(stage.cmd)[3:])
                assert done.exit_code == 0, done.output
        self.lock(self.params, stages)
        return self

    def launder(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the result, and make every record, hash and page agree with it, and dvc.lock."""
        self.edit(change)
        self.pages()

    def put(self, params: Params, spec: Spec) -> None:
        """A result whose records are of the sources, the spec and the commit that are here."""
        key = params.find(spec.cell)[0]
        found = scored(*_tested(params, "quick", key, 0))
        content = synthetic(params, "quick", key, 0).content()
        content["provenance"] |= self.taken(spec, "evaluate")
        content["run"]["provenance"] |= self.taken(spec, "train")
        total = params.datasets.of(key.dataset).test_images
        places = np.arange(len(found.labels)) * total // len(found.labels)
        images = np.zeros((len(found.labels), 1, 1, 1), np.uint8)
        content["most_confused"] = most_confused(images, found.labels, found.logits, places)
        path = Path(f"reports/quick/cells/{spec.cell}-s0.json")
        write_bytes(path, agreed(content).text().encode())
        write_bytes(logits_path(path), npy(found.logits))

    def taken(self, spec: Spec, kind: Any) -> dict[str, Any]:
        path = spec_path(SPECS, spec.cell)
        return {
            "spec": SpecReference(path=path.as_posix(), md5=file_hash(path)).model_dump(mode="json"),
            "code": spec.fingerprint(kind).model_dump(mode="json"),
            "sources": source_hashes(),
            "git": git_state(path).model_dump(mode="json"),
        }

    def lock(self, params: Params, stages: Stages) -> None:
        """dvc.lock as DVC would have written it; what is not here has the hashes that the records have."""
        files = [Path(f"reports/quick/cells/{cell}-s0.json") for cell in CELLS]
        results = [Evaluation.read(file, "evaluate") for file in files if file.is_file()]
        known: dict[str, str] = {}
        for result in results:
            inputs = {**result.run.provenance.inputs, **result.provenance.inputs}
            known |= {path: found.md5 for path, found in inputs.items()}
            known[f"data/raw/{result.dataset}"] = folder_md5(result.run.data.made_from.raw_md5)
        keys = [params.find(cell)[0] for cell in CELLS]
        listed = [stages.resolve(), stages.architectures(), stages.tables(), stages.paper()]
        listed += [
            getattr(stages, kind)(dataset) for kind in ("download", "preprocess") for dataset in ("mnist", "cifar10")
        ]
        listed += [getattr(stages, kind)(key, 0) for kind in ("train", "evaluate") for key in keys]
        Path("dvc.lock").write_text(lock_text({stage.name: self.entry(stage, known) for stage in listed}))

    def entry(self, stage: Stage, known: dict[str, str]) -> dict[str, Any]:
        def md5_of(path: str) -> str:
            return known.get(path) or (hash_dependency(Path(path)).md5 if Path(path).exists() else short(path) + ".dir")

        found: dict[str, Any] = {"cmd": stage.cmd}
        for kind, paths in (("deps", stage.deps), ("outs", stage.outs)):
            found[kind] = [{"path": path, "hash": "md5", "md5": md5_of(path)} for path in paths]
        if stage.params:
            read = {file: read_yaml(file) for file in stage.params}
            found["params"] = {
                file: {name: look_up(read[file], name) for name in names} for file, names in stage.params.items()
            }
        return found

    def number(self) -> Number:
        return Number(*ROW, self.params.find(CELL)[0], 0)

    def findings(self) -> list[Finding]:
        """What is said of the one number."""
        return check_number(self.number(), Workspace("quick", self.params))

    def broken(self) -> "Broken":
        return Broken([finding for finding in self.findings() if finding.kind == "broken"])

    def notes(self) -> list[str]:
        return [finding.where for finding in self.findings() if finding.kind == "note"]

    def edit(self, change: Callable[[dict[str, Any]], None], rebind: bool = True) -> None:
        """Change the result; with `rebind`, its hashes and bindings too, as somebody would who wants to deceive."""
        content = json.loads(Path(RESULT).read_text())
        change(content)
        if rebind:
            content = agreed(content).content()
        Path(RESULT).write_text(json_text(content))

    def forge_lock(self) -> None:
        """dvc.lock made to agree with the results."""
        self.lock(self.params, Stages("quick", self.params))

    def edit_params(self, change: Callable[[dict[str, Any]], None]) -> None:
        raw = json.loads(Path("params.yaml").read_text())
        change(raw)
        Path("params.yaml").write_text(json.dumps(raw))

    def append(self, path: str, text: str) -> None:
        before = Path(path).read_text()
        Path(path).unlink()  # the template has the same file
        Path(path).write_text(before + text)

    def verify(self, *words: str) -> tuple[int, Any]:
        done = CliRunner().invoke(main, [*words, "--json"])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.output) if done.output.startswith("{") else done.output


class Broken:
    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.places = {finding.where for finding in findings}

    def at(self, where: str, other: str = "") -> Finding:
        """The one finding about a place that is held against something with this piece in it."""
        found = {one for one in self.findings if one.where == where and other in one.held_against}
        assert len(found) == 1, self.places
        return found.pop()


def look_up(tree: Any, name: str) -> Any:
    for part in name.split("."):
        tree = tree[part]
    return tree


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Project().build()
    return folder


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    folder = tmp_path / "project"
    shutil.copytree(template, folder, ignore=lambda path, names: {"stages"} if path == str(template) else ())
    shutil.copytree(template / "stages", folder / "stages", copy_function=os.link)
    monkeypatch.chdir(folder)
    return Project()


# What holds


def test_a_clone_without_data_lacks_that_and_nothing_is_broken(project: Project) -> None:
    status, said = project.verify()
    findings = [finding for number in said["numbers"] for finding in number["findings"]] + said["pages"]["findings"]
    assert [finding for finding in findings if finding["kind"] == "broken"] == []
    assert status == 0
    found = {number["cell"]: number for number in said["numbers"]}
    assert len(found) == 35
    number = found[CELL]
    missing = {finding["where"]: finding["level"] for finding in number["findings"]}
    assert {"data/raw/mnist", "data/processed/quick/mnist/train", f"data/predictions/quick/{CELL}-s0"} <= missing.keys()
    assert all(place.startswith("data/") for place in missing)
    assert set(missing.values()) == {"predicted", "derived"}
    assert (number["status"], number["level"], number["passed"]) == ("holds", "recounted", ["consistent", "recounted"])
    assert (number["next"]["level"], number["next"]["option"]) == ("predicted", "--weights")
    assert f"data/runs/quick/{CELL}/s0" in number["next"]["missing"]
    assert said["pages"]["status"] == "holds"


def as_they_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building the networks gives those that the project has now."""
    found = Networks.read("reports/quick/architectures/networks.json", "test")
    honest = found.model_copy(update={"networks": [one for one in found.networks if CELL in one.cells]})
    monkeypatch.setattr("stages.architectures.build.built_networks", lambda params, budget, cells: honest)


def test_the_level_that_is_asked_decides_the_exit_status(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    as_they_are_built(monkeypatch)
    for level, status in (("consistent", 0), ("recounted", 0), ("predicted", 3), ("derived", 3)):
        assert project.verify(*ROW, "--level", level)[0] == status, level
    done = CliRunner().invoke(main, [*ROW])
    first, second = done.output.splitlines()[:2]
    assert first == (
        "quick: 1 of 1 numbers recounted (counted again from committed predictions and the true test labels); "
        "1 of 1 rows of the paper's tables have the level asked; nothing broken"
    )
    assert second.startswith("verified by commit ")
    assert "\nnext level:\n- predicted (predicted again from the weights) needs data/runs/quick/" in done.output
    Path("data/labels/mnist.npy").unlink()
    status, said = project.verify(*ROW)
    (number,) = said["numbers"]
    assert (status, number["status"], number["level"]) == (3, "incomplete", "consistent")
    assert number["next"]["how"] == "git checkout data/labels/mnist.npy"


def test_a_result_that_dvc_lock_has_and_that_is_gone_is_missing(project: Project) -> None:
    """Before the pages are made again, and after: its row is not compared, and the other rows are as they were."""
    Path(RESULT).unlink()
    status, said = project.verify("II")
    found = {number["cell"]: number["status"] for number in said["numbers"]}
    assert (status, found[CELL], found[CELLS[1]], said["pages"]["status"]) == (3, "incomplete", "holds", "incomplete")
    assert [one["where"] for one in said["pages"]["findings"] if one["kind"] == "incomplete"] == [RESULT]
    project.pages()
    status, said = project.verify(*ROW)
    assert (status, said["numbers"][0]["status"]) == (3, "incomplete")


def test_a_planned_number_without_a_result_has_not_run_and_the_command_that_makes_it_is_named(project: Project) -> None:
    status, said = project.verify("I", "VGG11")
    (number,) = said["numbers"]
    assert (status, number["status"], number["percent"]) == (3, "not run", None)
    (finding,) = number["findings"]
    assert finding["where"] == "reports/quick/cells/mnist/vgg11-s0.json"
    assert finding["how"] == "dvc repro evaluate-mnist@quick-vgg11-0"


def test_specs_that_were_not_committed_follow_from_the_commit(project: Project) -> None:
    """As after the first run: they are made of params.yaml and sources, which the commit has."""
    git_of = json.loads(Path(RESULT).read_text())["run"]["provenance"]["git"]
    assert (git_of["dirty"], git_of["changed"]) == (True, [SPEC])
    assert project.broken().findings == []
    assert project.notes() == []


def test_a_spec_that_is_committed_is_held_against_its_commit(project: Project) -> None:
    commit("reports/quick/specs")
    project.make()
    assert json.loads(Path(RESULT).read_text())["run"]["provenance"]["git"]["changed"] == []
    assert project.broken().findings == []

    def forge(result: Any) -> None:
        result["run"]["config"]["cell"]["lr"] = 0.5
        result["run"]["provenance"]["spec"]["md5"] = forged_spec()

    project.edit(forge)
    broken = project.broken()
    assert broken.at(f"{RESULT}, run.provenance.spec.md5", "(commit ")
    assert broken.at(f"{RESULT}, run.config, cell.lr", "params.yaml of commit")


def forged_spec() -> str:
    """A spec with another learning rate in its place; its md5."""
    Path(SPEC).write_text(Path(SPEC).read_text().replace('"lr": 0.001', '"lr": 0.5'))
    return file_hash(SPEC)


def test_sources_that_were_not_committed_are_in_the_record(project: Project) -> None:
    """Code, spec and md5 of sources are computed from the commit and the difference, on a tree that is clean now."""
    project.append(ENGINE, "\nEDITED = 1\n")
    project.make()
    recorded = json.loads(Path(RESULT).read_text())["run"]["provenance"]["git"]
    assert sorted(recorded["changed"]) == [SPEC, ENGINE]
    assert project.broken().findings == []
    assert any(
        f"{ENGINE} not committed when it ran; the record holds the difference" in note for note in project.notes()
    )
    git("checkout", "-q", ENGINE)
    broken = project.broken()
    assert {finding.outdated for finding in broken.findings} == {True}
    assert broken.at(ENGINE, f"{RESULT}, run was run")


def test_a_difference_that_does_not_apply_makes_nothing_false_and_says_so(project: Project) -> None:
    project.append(ENGINE, "\nEDITED = 1\n")
    project.make()
    project.edit(lambda result: result["run"]["provenance"]["git"].update(difference="[cut]"))
    project.forge_lock()
    assert project.broken().findings == []
    assert any(f"{ENGINE} was not committed when it ran; the working tree has it" in note for note in project.notes())
    missing = [finding for finding in project.findings() if finding.kind == "incomplete"]
    assert any("the recorded difference does not apply" in finding.how for finding in missing)


# What is outdated


def test_a_comment_after_the_fact_is_a_note(project: Project) -> None:
    project.append(ENGINE, "\n# another comment\n")
    assert project.broken().findings == []
    assert any(note.startswith(f"{ENGINE} has changed since numbers were made with it") for note in project.notes())
    assert {finding.kind for finding in project.findings()} == {"incomplete", "note"}


def test_code_after_the_fact_is_outdated(project: Project) -> None:
    project.append(ENGINE, "\nEDITED = 1\n")
    broken = project.broken()
    assert broken.places == {ENGINE}
    assert {finding.outdated for finding in broken.findings} == {True}


def test_code_of_another_family_after_the_fact_says_nothing(project: Project) -> None:
    project.append("stages/engine/networks/googlenet/network.py", "\nEDITED = 1\n")
    assert project.broken().findings == []


def test_a_parameter_after_the_fact_is_outdated_and_names_the_setting(project: Project) -> None:
    project.edit_params(lambda raw: raw["cells"]["mnist"]["resnet18-sgd"].update(lr=0.002))
    broken = project.broken()
    said = broken.at(f"today's spec of {CELL}, settings, cell.lr")
    assert (said.found, said.held_against, said.outdated) == ("0.002", f"0.001 (as {RESULT}, run was run)", True)
    assert broken.places == {said.where}
    project.edit_params(lambda raw: raw["cells"]["mnist"]["resnet18-sgd"].update(lr=0.001, momentum=0.0))
    assert project.broken().findings == []  # the same settings, otherwise written
    project.edit_params(lambda raw: raw["budgets"]["quick"]["test_images"].update(mnist=100))
    assert project.broken().at(f"today's spec of {CELL}, testing, images").outdated


def test_an_outdated_number_says_so_in_its_line(project: Project) -> None:
    project.edit_params(lambda raw: raw["cells"]["mnist"]["resnet18-sgd"].update(lr=0.002))
    done = CliRunner().invoke(main, list(ROW))
    assert done.exit_code == 1
    (line,) = (line for line in done.output.splitlines() if line.startswith("broken") and ROW[1] in line)
    assert line.endswith("(outdated)")


def test_what_git_cannot_tell_here_is_noted(project: Project) -> None:
    def notes() -> list[str]:
        _, said = project.verify(*ROW)
        return [finding["where"] for finding in said["pages"]["findings"] if finding["kind"] == "note"]

    assert "dvc.lock is in no commit here: nothing tells when its hashes were written" in notes()
    commit("dvc.lock")
    shallow = "shallow clone: earlier results cannot be looked up (git fetch --unshallow)"
    assert not [note for note in notes() if note.startswith("dvc.lock ") or note == shallow]
    project.append("dvc.lock", "# edited\n")
    Path(".git/shallow").write_text(f"{git('rev-parse', 'HEAD')}\n")
    found = notes()
    assert shallow in found
    assert any(note.startswith("dvc.lock differs from the last commit's: ") for note in found)


def test_specs_that_were_resolved_since_are_noted(project: Project) -> None:
    project.edit_params(lambda raw: raw["cells"]["mnist"]["resnet18"].update(lr=0.002))
    write_specs(resolve_specs(project.params, "quick"), SPECS)
    _, said = project.verify(*ROW)
    notes = [finding["where"] for finding in said["pages"]["findings"] if finding["kind"] == "note"]
    assert any(note.startswith("reports/quick/specs holds today's specs") for note in notes)
    assert not any("specs" in one["where"] for one in said["pages"]["findings"] if one["kind"] == "broken")


# What is tampered with: the record


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda result: result["run"].update(seed=1), f"{RESULT}, run, seed"),
        (lambda result: result["run"].update(budget="paper"), f"{RESULT}, run, budget"),
        (lambda result: result["run"].update(stage="train-mnist@quick-resnet18-0"), f"{RESULT}, run, stage"),
        (lambda result: result.update(stage="evaluate-mnist@quick-resnet18-0"), f"{RESULT}, stage"),
        (lambda result: result["run"]["config"].update(seed=1), f"{RESULT}, run, config.seed"),
        (lambda result: result["run"]["config"]["cell"].update(lr=0.5), f"{RESULT}, run.config, cell.lr"),
        (lambda result: result["run"]["config"].update(epochs=3), f"{RESULT}, run.config, epochs"),
        (lambda result: result["testing"].update(images=10), f"{RESULT}.testing, images"),
        (lambda result: result["numerics"].update(precision="bfloat16"), f"{RESULT}, binding"),
        (lambda result: result["run"].update(outcome="diverged"), f"{RESULT}, run.binding"),
        (lambda result: result["run"].update(binding="0" * 64), f"{RESULT}, run.binding"),
        (lambda result: result.update(binding="0" * 64), f"{RESULT}, binding"),
        (lambda result: result["run"]["sha256"].update({"weights.safetensors": "0" * 64}), f"{RESULT}, run.binding"),
        (lambda result: result["run"]["machines"][0].update(processor="another"), f"{RESULT}, run"),
        (lambda result: result["history"][0].update(validation_accuracy=0.99), f"{RESULT}, history"),
        (lambda result: result["run"]["data"]["mean"].__setitem__(0, 0.4), f"{RESULT}, run.data"),
        (lambda result: result.update(accuracy=0.999), f"{RESULT}, accuracy"),
        (lambda result: result.update(correct=999), f"{RESULT}, correct"),
        (lambda result: result.update(loss=0.001), f"{RESULT}, loss"),
        (lambda result: result.update(at_chance=True), f"{RESULT}, at_chance"),
        (lambda result: result["report"]["macro avg"].update(precision=0.99), f"{RESULT}, report.macro avg.precision"),
        (lambda result: result["confusion"][0].__setitem__(0, 0), f"{RESULT}, confusion"),
        (lambda result: result["most_confused"].pop(), f"{RESULT}, most_confused"),
        (lambda result: result["provenance"]["spec"].update(md5="0" * 32), f"{RESULT}.provenance.spec.md5"),
        (lambda result: result["provenance"]["spec"].update(path="x.json"), f"{RESULT}.provenance.spec.path"),
        (lambda result: result["provenance"]["code"].update(sha256="0" * 64), f"{RESULT}.provenance.code.sha256"),
        (lambda result: result["provenance"]["sources"].update({ENGINE: "0" * 32}), f"{TAKEN}.sources, {ENGINE}"),
        (lambda result: result["provenance"]["sources"].pop(ENGINE), f"{TAKEN}.sources, {ENGINE}"),
        (lambda result: result["provenance"]["inputs"].pop("data/processed/quick/mnist/test"), f"{TAKEN}.inputs"),
    ],
)  # fmt: skip
def test_a_changed_record_is_named(project: Project, change: Callable[[Any], None], where: str) -> None:
    project.edit(change, rebind=False)
    broken = project.broken()
    assert where in broken.places, sorted(broken.places)
    assert RESULT in broken.places  # dvc.lock has another hash of it


def test_an_input_that_is_gone_or_has_a_file_less_hides_nothing_else(project: Project) -> None:
    run = f"data/runs/quick/{CELL}/s0"

    def change(result: Any) -> None:
        result["provenance"]["inputs"][run]["files"].pop("run.json")
        result["run"]["provenance"]["inputs"].clear()
        result["run"]["provenance"]["inputs"]["surplus"] = {"md5": "0" * 32 + ".dir", "files": {"a": "1" * 32}}
        result["history"][0]["validation_accuracy"] = 0.99

    project.edit(change, rebind=False)
    said = [str(finding) for finding in project.broken().findings]
    assert f"{RESULT}: provenance.inputs.{run}.files has no run.json" in said
    assert f"{RESULT}: run.provenance.inputs has no data/processed/quick/mnist/train" in said
    assert any(one.startswith(f"{RESULT}, provenance.inputs.{run}.files.run.json: found no hash") for one in said)
    assert any(one.startswith(f"{RESULT}, history: found") or f"({RESULT}, history)" in one for one in said)
    assert any("run.provenance.inputs.surplus.files" in one for one in said)


def test_a_record_of_settings_forged_throughout(project: Project) -> None:
    """Bindings, hashes, spec and dvc.lock agree with another learning rate: the commit does not."""

    def forge(result: Any) -> None:
        result["run"]["config"]["cell"]["lr"] = 0.5
        for taken in (result["run"]["provenance"], result["provenance"]):
            taken["spec"]["md5"] = of_spec

    of_spec = forged_spec()
    project.edit(forge)
    project.forge_lock()
    broken = project.broken()
    assert broken.at(f"{RESULT}, run.provenance.spec.md5", "with the recorded difference")
    assert broken.at(f"today's spec of {CELL}, settings, cell.lr")


def test_a_record_of_other_code_forged_throughout(project: Project) -> None:
    """The sources that are here and their hashes agree everywhere but in the commit that the record names."""
    named = json.loads(Path(RESULT).read_text())["run"]["provenance"]["git"]
    project.append(ENGINE, "\nEDITED = 1\n")
    project.make()

    def forge(result: Any) -> None:
        for taken in (result["run"]["provenance"], result["provenance"]):
            taken["git"] = named

    project.edit(forge)
    project.forge_lock()
    broken = project.broken()
    found = md5(Path(ENGINE).read_bytes(), usedforsecurity=False).hexdigest()
    said = broken.at(f"{RESULT}, run.provenance.sources, {ENGINE}")
    assert said.found == found
    assert said.held_against.endswith(f"(commit {named['commit'][:12]})")
    assert broken.at(f"{RESULT}, run.provenance.code.modules, {ENGINE}", "computed from the sources of commit")


def test_fingerprints_forged_without_their_sources(project: Project) -> None:
    def forge(result: Any) -> None:
        code = result["run"]["provenance"]["code"]
        code["modules"][ENGINE] = "0" * 64
        code["sha256"] = digest({"scheme": code["scheme"], "modules": code["modules"]})

    project.edit(forge)
    broken = project.broken()
    assert broken.at(f"{RESULT}, run.provenance.code.modules, {ENGINE}", "computed from the sources")
    assert broken.at(f"{RESULT}, run.provenance.code.sha256", "as it was given")
    assert broken.at(f"dvc.lock, {TRAIN}.params.{SPEC}.code.train")


def test_data_that_is_not_the_canonical(project: Project) -> None:
    """Test labels replaced by predictions: everything agrees, but the raw files are not those that all know."""

    def forge(result: Any) -> None:
        result["run"]["data"]["made_from"]["raw_sha256"]["t10k-labels-idx1-ubyte"] = "0" * 64
        result["run"]["data"]["made_from"]["raw_md5"]["t10k-labels-idx1-ubyte"] = "0" * 32

    project.edit(forge)
    project.forge_lock()
    assert "another t10k-labels-idx1-ubyte" in project.broken().at(f"{RESULT}, run.data", "canonical").found


AUGMENTED, TRAIN_FOLDER = "augmented_images", "data/processed/quick/mnist/train"


def trained_on_another_array(project: Project, name: str) -> None:
    """The number's result, and its two entries in dvc.lock, are of arrays of which one has other bytes."""
    result = other_array(Evaluation.read(RESULT, "evaluate"), name)
    result.write(Path(RESULT))
    project.forge_lock()  # its data are those of the other result
    arrays, description = result.run.training_arrays, result.description

    def change(lock: Any) -> None:
        for path, found in (arrays, description):
            for dep in [*lock[TRAIN]["deps"], *lock[EVALUATE]["deps"]]:
                dep["md5"] = found.md5 if dep["path"] == path else dep["md5"]

    edit_lock(change)


def test_augmented_copies_of_another_processor_are_noted(project: Project) -> None:
    trained_on_another_array(project, AUGMENTED)
    assert project.broken().findings == []
    (note,) = [note for note in project.notes() if "augmented copies" in note]
    assert note.startswith(
        "augmented copies of mnist have other bytes than those of preprocess@quick-mnist in dvc.lock; "
    )
    assert note.endswith("the training does not read them")


def test_explain_says_it_too(project: Project) -> None:
    trained_on_another_array(project, AUGMENTED)
    done = CliRunner().invoke(explain, [*ROW, "--json"])
    assert done.exit_code == 0, done.output
    (note,) = json.loads(done.output)["notes"]
    assert note.startswith("augmented copies of mnist have other bytes than those of preprocess@quick-mnist")


def test_a_training_that_reads_no_copies_is_trained_again_beside_others(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on_another_array(project, AUGMENTED)
    workspace = Workspace("quick", project.params)
    result, _ = workspace.read(project.number())
    assert result is not None
    of_lock = workspace.lock.md5("preprocess@quick-mnist", "outs", TRAIN_FOLDER)
    monkeypatch.setattr(Disk, "tree", lambda *_: Dependency(md5=str(of_lock)))
    rerun._refuse_another(project.number(), result, workspace)
    monkeypatch.setattr(Disk, "tree", lambda *_: Dependency(md5="0" * 32))
    with pytest.raises(StageError, match=f"{TRAIN_FOLDER} is not what it was trained with"):
        rerun._refuse_another(project.number(), result, workspace)


def test_another_array_with_other_bytes_is_broken(project: Project) -> None:
    trained_on_another_array(project, "train_images")
    expected = Evaluation.read(RESULT, "evaluate").run.training_arrays[1].md5
    assert project.broken().at(f"dvc.lock, preprocess@quick-mnist.outs.{TRAIN_FOLDER}", expected)


def test_augmented_copies_that_nothing_else_bears_out_are_broken(project: Project) -> None:
    """Without a result of the arrays in dvc.lock it is not known that the others are the same."""
    trained_on_another_array(project, AUGMENTED)
    Path(f"reports/quick/cells/{CELLS[1]}-s0.json").unlink()
    assert f"dvc.lock, preprocess@quick-mnist.outs.{TRAIN_FOLDER}" in project.broken().places


# What is tampered with: predictions


def test_logits(project: Project) -> None:
    content = bytearray(Path(LOGITS).read_bytes())
    content[-1] ^= 1
    Path(LOGITS).write_bytes(bytes(content))
    broken = project.broken()
    expected = json.loads(Path(RESULT).read_text())["sha256"]["logits.npy"]
    assert broken.at(LOGITS, f"{expected} ({RESULT}, sha256.logits.npy)")
    assert broken.at(LOGITS, EVALUATE)


def test_logits_that_are_gone_are_missing(project: Project) -> None:
    Path(LOGITS).unlink()
    assert project.broken().findings == []
    missing = {finding.where: finding.how for finding in project.findings() if finding.kind == "incomplete"}
    assert EVALUATE in missing[LOGITS]


def test_logits_that_are_no_logits(project: Project) -> None:
    Path(LOGITS).write_bytes(npy(np.zeros((3, 10), np.float32)))
    assert project.broken().at(LOGITS, "float32 logits of 1000 images").found == "another array"


def better(result: Any) -> None:
    """One image more is predicted rightly, and all that is counted from it."""
    labels, predictions = result["labels"], result["predictions"]
    wrong = next(n for n, label in enumerate(labels) if label != predictions[n])
    result["predictions"] = predictions[:wrong] + labels[wrong] + predictions[wrong + 1 :]
    counted = score(classes_of(labels), classes_of(result["predictions"]), result["classes"], len(labels))
    result.update(counted)


def test_a_prediction_forged_throughout(project: Project) -> None:
    """Binding, report, matrix, accuracy and dvc.lock agree with it: the logits beside it do not, on any clone."""
    project.edit(better)
    project.forge_lock()
    said = project.broken().at(f"{RESULT}, predictions", LOGITS)
    assert re.fullmatch(r"\d \(image \d+\)", said.found)


def test_labels_forged_throughout(project: Project) -> None:
    """The labels' own hash, and dvc.lock of the test arrays, stand against it; on a clone without data the former."""

    def forge(result: Any) -> None:
        result["labels"] = result["predictions"]
        everything = score(classes_of(result["labels"]), classes_of(result["predictions"]), result["classes"], 1000)
        result.update(everything)

    project.edit(forge)
    project.forge_lock()
    broken = project.broken()
    assert broken.at(f"{RESULT}, labels", "sha256, labels.npy")
    found = broken.at(f"{RESULT}, labels", "the true label").found
    assert re.fullmatch(r"\d \(image \d+, and \d+ more\)", found)
    assert f"{RESULT}, loss" in broken.places


# What is tampered with: dvc.lock, specs, pages


def edit_lock(change: Callable[[Any], None]) -> None:
    stages = read_yaml("dvc.lock")["stages"]
    change(stages)
    Path("dvc.lock").write_text(lock_text(stages))


def test_settings_and_code_in_dvc_lock(project: Project) -> None:
    def change(lock: Any) -> None:
        lock[TRAIN]["cmd"] += " --no-mlflow"
        lock[TRAIN]["params"][SPEC]["settings"]["cell"]["lr"] = 0.5
        lock[TRAIN]["params"][SPEC]["code.train"] = "0" * 64
        lock[EVALUATE]["params"][SPEC]["testing"]["images"] = 10

    edit_lock(change)
    broken = project.broken()
    assert broken.at(f"dvc.lock, {TRAIN}, cmd").found.endswith("--no-mlflow")
    said = broken.at(f"dvc.lock, {TRAIN}, params, settings, cell.lr")
    assert (said.found, said.held_against.split()[0]) == ("0.5", "0.001")
    assert broken.at(f"dvc.lock, {TRAIN}.params.{SPEC}.code.train").found == "0" * 64
    assert broken.at(f"dvc.lock, {EVALUATE}, params, testing, images")


def test_parameters_that_dvc_lock_does_not_have(project: Project) -> None:
    edit_lock(lambda lock: lock[TRAIN]["params"][SPEC].pop("code.train"))
    assert f"{SPEC}: code.train" in project.broken().at(f"dvc.lock, {TRAIN}, params").held_against


def test_an_entry_that_is_gone_from_dvc_lock(project: Project) -> None:
    edit_lock(lambda lock: lock.pop(TRAIN))
    assert project.broken().at(f"dvc.lock, {TRAIN}").found == "no entry"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_line_ends_of_dvc_lock_do_not_matter(project: Project, ends: str) -> None:
    Path("dvc.lock").write_bytes(Path("dvc.lock").read_text().replace("\n", ends).encode())
    assert project.broken().findings == []


@pytest.mark.parametrize(
    ("stage", "kind", "path"),
    [
        ("download@mnist", "outs", "data/raw/mnist"),
        ("preprocess@quick-mnist", "deps", "stages/preprocess"),
        ("preprocess@quick-mnist", "outs", "data/processed/quick/mnist/test"),
        (TRAIN, "deps", "data/processed/quick/mnist/train"),
        (TRAIN, "outs", f"data/runs/quick/{CELL}/s0"),
        (EVALUATE, "deps", f"data/runs/quick/{CELL}/s0"),
        (EVALUATE, "outs", RESULT),
        (EVALUATE, "outs", LOGITS),
    ],
)
def test_a_hash_in_dvc_lock(project: Project, stage: str, kind: str, path: str) -> None:
    false = "0" * 32 + ("" if Path(path).suffix else ".dir")

    def change(lock: Any) -> None:
        next(item for item in lock[stage][kind] if item["path"] == path)["md5"] = false

    edit_lock(change)
    named = [said for said in project.broken().findings if false in said.found + said.held_against]
    assert any(stage in said.where + said.held_against and path in said.where for said in named)


def test_a_source_of_a_data_stage_that_changed_since_is_noted(project: Project) -> None:
    """What it made is held by its hashes; a hash that no commit has is broken (above)."""
    project.append("stages/preprocess/split.py", "\n# a comment\n")
    assert project.broken().findings == []
    note = "stages/preprocess has changed since preprocess@quick-mnist ran (dvc repro runs it again)"
    assert note in project.notes()


def test_a_spec_that_lies_there(project: Project) -> None:
    honest, found = file_hash(SPEC), forged_spec()
    said = project.broken().at(SPEC)
    assert said.found == found
    assert said.held_against.startswith(f"{honest} ({RESULT}, run.provenance.spe")
    _, everything = project.verify(*ROW)
    assert "reports/quick/specs" in [one["where"] for one in everything["pages"]["findings"] if one["kind"] == "broken"]


@pytest.mark.parametrize("name", ["tables/table_2.md", "tables/table_2.csv", "ledger.csv", "ledger.json", "index.html"])
def test_a_page(project: Project, name: str) -> None:
    path = Path("reports/quick") / name
    result = Evaluation.read(RESULT, "evaluate")
    honest = result.run.sha256.weights if "ledger" in name else f"{result.percent:.1f}"
    text = path.read_text()
    place = text.index(f'id="/II/{CELL.partition("/")[2]}"') if name == "index.html" else text.index(ROW[1])
    assert honest in text[place:]
    path.write_text(text[:place] + text[place:].replace(honest, honest.replace(honest[:2], "99"), 1))
    status, said = project.verify(*ROW)
    assert status == 1
    findings = said["numbers"][0]["findings"] + said["pages"]["findings"]
    assert any(one["kind"] == "broken" and one["where"].startswith(str(path)) for one in findings), findings


def test_a_page_that_says_of_a_number_that_has_not_run_that_it_has(project: Project) -> None:
    path = Path("reports/quick/tables/table_1.csv")
    rows = path.read_text().splitlines()
    place = next(n for n, row in enumerate(rows) if row.startswith("VGG11,"))
    cells = rows[place].split(",")
    cells[cells.index("")] = "99.9"
    rows[place] = ",".join(cells)
    path.write_text("\n".join(rows) + "\n")
    status, said = project.verify("I", "VGG11")
    assert status == 1
    assert any(finding["where"].startswith(f"{path}, VGG11") for finding in said["numbers"][0]["findings"])


NETWORK = "reports/quick/architectures/networks.json, mnist-resnet18"


def of_cell(found: dict[str, Any]) -> dict[str, Any]:
    """The network of the cell, which mnist/resnet18 builds too."""
    network: dict[str, Any] = next(one for one in found["networks"] if CELL in one["cells"])
    return network


def smaller(found: dict[str, Any]) -> None:
    """One parameter less, in the sums too."""
    network = of_cell(found)
    for one in (network, *network["layers"], *network["blocks"]):
        one["parameters"] -= 1


@pytest.mark.parametrize(
    ("change", "where", "against"),
    [
        (smaller, f"{NETWORK}, parameters", "-s0.json, run.network.parameters)"),
        (lambda found: of_cell(found).update(multiply_adds=1), f"{NETWORK}, multiply_adds", "the sum over its layers"),
        (lambda found: of_cell(found)["layers"][0].update(parameters=1), f"{NETWORK}, parameters", "over its layers"),
        (lambda found: of_cell(found)["blocks"][0].update(parameters=1), f"{NETWORK}, parameters", "over its blocks"),
        (lambda found: of_cell(found)["cells"].remove(CELL), f"{NETWORK}.cells", "by params.yaml"),
        (lambda found: found.update(budget="paper"), NETWORK.replace("mnist-resnet18", "budget"), "quick, whose"),
        (lambda found: found["networks"].append(of_cell(found)), NETWORK.partition(",")[0], ""),
    ],
)
def test_a_network_that_is_forged_throughout(
    project: Project, change: Callable[[dict[str, Any]], None], where: str, against: str
) -> None:
    """Its pages agree with it, and whatever is made of them; params.yaml, the sums and the trainings do not."""
    project.networks(change)
    of_pages, of_number = of_networks(project)
    assert of_number == []
    assert [one.where for one in of_pages if one.where == where and against in one.held_against] == [where]


def of_networks(project: Project, also: str = CELL) -> tuple[list[Finding], list[Finding]]:
    """What is said of the networks' pages, and of the one number and `also` that of another cell."""
    workspace = Workspace("quick", project.params)
    numbers = [number for number in planned(project.params) if str(number.key) in CELLS]
    printed = PageFindings(numbers)
    results: dict[Number, Any] = {number: workspace.read(number)[0] for number in numbers}
    check_architectures(workspace, results, printed)
    said = {number for number in numbers if str(number.key) in (CELL, also)}
    assert printed.of_numbers.keys() <= said
    return printed.of_pages, [one for number in said for one in printed.of_numbers[number]]


def test_pages_of_a_network_that_are_not_those_of_its_record(project: Project) -> None:
    assert of_networks(project) == ([], [])
    folder = Path("reports/quick/architectures")
    for end in ("md", "svg"):
        page = folder / f"mnist-resnet18.{end}"
        page.write_text(page.read_text().replace("11,181,642", "11,181,641"))
    (folder / "mnist-vgg99.md").write_text("# Another\n")
    wrong = {Path(one.where).name: one.held_against for one in of_networks(project)[0]}
    assert wrong.keys() == {"mnist-resnet18.md", "mnist-resnet18.svg", "mnist-vgg99.md"}
    assert all("11,181,642" in other or "no such file" in other for other in wrong.values())


def test_sizes_that_one_result_alone_has_are_about_its_number(project: Project) -> None:
    project.edit(lambda result: result["run"]["network"].update(parameters=7))
    of_pages, (said,) = of_networks(project)
    assert (of_pages, said.where, said.found) == ([], f"{RESULT}, run.network.parameters", "7")


def test_a_layer_whose_sizes_stay_is_found_by_building_the_networks_anew(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_they_are_built(monkeypatch)
    (said,) = build_anew([project.number()], Workspace("quick", project.params))
    every = len(groups_of_cells(project.params, "quick"))
    assert (said.kind, said.where.partition(": ")[2]) == ("note", f"1 of {every} networks built anew, as recorded")
    project.networks(lambda found: of_cell(found)["layers"][0].update(type="linear 11"))
    assert of_networks(project) == ([], [])
    (said,) = build_anew([project.number()], Workspace("quick", project.params))
    assert (said.where, said.held_against) == (f"{NETWORK}.layers.0.type", "'linear 10' (as it is built)")


def test_a_network_that_is_really_built_is_held_against_its_record(project: Project) -> None:
    """The record is the one that this repository has: `architectures` made it by the same code."""
    shipped = Path("reports/quick/architectures/networks.json")
    shutil.copy(ROOT / shipped, shipped)
    number = Number("I", "VGG11", project.params.find("mnist/vgg11")[0], 0)
    (said,) = build_anew([number], Workspace("quick", project.params))
    assert (said.kind, said.where.endswith("networks built anew, as recorded")) == ("note", True)
    record = json.loads(shipped.read_text())
    (network,) = [one for one in record["networks"] if "mnist/vgg11" in one["cells"]]
    network["layers"][0]["type"] += " with another padding"
    write_bytes(shipped, Networks.text_of(record).encode())
    (said,) = build_anew([number], Workspace("quick", project.params))
    assert (said.kind, said.where) == ("broken", f"{shipped}, mnist-vgg11.layers.0.type")


def test_without_a_table_or_cell_every_recorded_network_is_built_anew(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    found = Networks.read("reports/quick/architectures/networks.json", "test")

    def built(params: Params, budget: str, cells: Any) -> Networks:
        asked.append(cells)
        return found

    monkeypatch.setattr("stages.architectures.build.built_networks", built)
    _, said = project.verify("--weights")
    every = len(found.networks)
    assert asked == [None]
    assert any(f": {every} of {every} networks built anew" in one["where"] for one in said["pages"]["findings"])


def test_results_of_other_code_have_no_say_in_what_a_network_is_now(project: Project) -> None:
    """After an edit of the network stage `architectures` has run again: results are outdated, and no page is false."""
    project.append("stages/engine/networks/resnet/network.py", "\nEDITED = 1\n")
    project.networks(smaller)
    of_pages, of_numbers = of_networks(project, also=CELLS[1])
    assert of_pages == []
    assert {(one.where, one.found, one.outdated) for one in of_numbers} == {
        (f"reports/quick/cells/{cell}-s0.json, run.network.parameters", "11181642", True) for cell in CELLS[:2]
    }
    assert {one.held_against for one in of_numbers} == {f"11181641 ({NETWORK}, parameters)"}


def test_a_result_that_cannot_be_read_leaves_the_other_numbers_as_they_are(project: Project) -> None:
    project.edit(lambda result: result.pop("loss"), rebind=False)
    _, said = project.verify("II", "ResNet18")
    (number,) = said["numbers"]
    assert (number["status"], number["level"]) == ("holds", "recounted")
    _, said = project.verify(*ROW)
    findings = said["numbers"][0]["findings"]
    assert any((one["where"], one["found"]) == (RESULT, "no loss") for one in findings)


def test_without_git_the_commit_is_missing_and_nothing_broken(project: Project) -> None:
    shutil.rmtree(".git")
    findings = project.findings()
    assert {finding.kind for finding in findings} == {"incomplete"}
    assert any(finding.where.startswith("commit ") for finding in findings)


# What cannot be so


def test_labels_that_are_not_the_test_split_s(project: Project) -> None:
    project.edit(lambda result: result["testing"].update(images="all"))
    assert project.broken().at(f"{RESULT}, labels", "the true label by data/labels/mnist.npy")


def test_a_file_of_labels_with_other_bytes_is_not_believed(project: Project) -> None:
    content = bytearray(Path("data/labels/mnist.npy").read_bytes())
    content[-1] ^= 1
    Path("data/labels/mnist.npy").write_bytes(bytes(content))
    assert "the labels of mnist's test split" in str(project.broken().at("data/labels/mnist.npy"))


# What is forged throughout: every record, hash and page agrees, dvc.lock too


def counted_again(result: Any, labels: str) -> None:
    """Everything that a result counts by its labels."""
    logits, classes = np.load(LOGITS), classes_of(labels)
    result["labels"], result["sha256"]["labels.npy"] = labels, hashlib.sha256(npy(classes)).hexdigest()
    result.update(score(classes, logits.argmax(1).astype(np.uint8), result["classes"], len(labels)))
    wide = logits.astype(np.float64)
    result["loss"] = float((np.log(np.exp(wide).sum(1)) - wide[np.arange(len(labels)), classes]).mean())
    places = np.arange(len(labels)) * 10000 // len(labels)
    result["most_confused"] = most_confused(np.zeros((len(labels), 1, 1, 1), np.uint8), classes, logits, places)


def test_labels_that_are_the_predictions(project: Project) -> None:
    """The true labels of the test images are known by hash, whatever the clone's arrays say."""
    for path in Path("reports/quick/cells/mnist").glob("resnet18-s0.*"):
        path.unlink()  # another result of the data set would contradict the labels
    project.launder(lambda result: counted_again(result, result["predictions"]))
    status, said = project.verify(*ROW)
    (number,) = said["numbers"]
    assert (status, number["percent"]) == (1, 100.0)
    wrong = {one["where"] for one in number["findings"] if one["kind"] == "broken"}
    assert wrong == {f"{RESULT}, labels"}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda data: data["sha256"].update(test_images="1" * 64), "sha256, test_images"),
        (lambda data: data["sha256"].update(dict.fromkeys(data["sha256"], "0" * 64)), "sha256, test_labels"),
        (lambda data: data["made_from"]["raw_md5"].update({"t10k-images-idx3-ubyte": "0" * 32}), "made_from.raw_md5, "),
        (lambda data: data["made_from"]["raw_sha256"].update({"train-labels-idx1-ubyte": "0" * 64}), ""),
    ],
)
def test_arrays_that_are_not_of_the_canonical_bytes(project: Project, change: Any, where: str) -> None:
    """Test images that are others, hashes of nothing, one raw byte: what comes of the canonical bytes is known."""
    project.edit(lambda result: change(result["run"]["data"]))
    project.forge_lock()
    found = [place for place in project.broken().places if place.startswith(f"{RESULT}, run.data")]
    assert any(where in place for place in found), found


def test_results_that_were_exchanged_contradict_themselves(project: Project) -> None:
    other = RESULT.replace("resnet18-sgd", "resnet18")
    for suffix in (".json", ".npy"):
        one, two = (Path(path).with_suffix(suffix) for path in (RESULT, other))
        content = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(content)
    project.forge_lock()
    said = project.broken().at(f"{RESULT}, run, cell")
    assert (said.found, said.held_against) == ("'mnist/resnet18'", f"'{CELL}' (of this number)")
    Path(RESULT).write_text(Path(RESULT).read_text().replace('"cell": "mnist/resnet18"', f'"cell": "{CELL}"'))
    assert f"{RESULT}, run.binding" in project.broken().places


def test_a_result_of_another_seed_contradicts_itself(project: Project) -> None:
    """Named anew in every field it still holds by its hashes; only the weights of that seed are others (--retrain)."""

    def relabel(result: Any) -> None:
        result["run"]["seed"] = 1
        result["run"]["stage"] = TRAIN.replace("-0", "-1")

    project.edit(relabel, rebind=False)
    assert {f"{RESULT}, run.binding", f"{RESULT}, run, seed"} <= project.broken().places


def test_records_that_were_moved_to_a_later_commit(project: Project) -> None:
    """The sources are edited, committed and recorded throughout; the trainings were before that commit."""
    project.append(ENGINE, "\nEDITED = 1\n")
    later = commit("stages", at="2026-11-24T12:00:00+00:00")
    project.make()
    broken = project.broken()
    assert {f"{RESULT}, run.times.started", f"{RESULT}, times.started"} == broken.places
    assert f"commit {later[:12]}, by whose sources" in broken.at(f"{RESULT}, run.times.started").found


def test_a_commit_that_was_replaced_is_read_as_it_was(project: Project) -> None:
    honest = git("rev-parse", "HEAD")
    project.append(ENGINE, "\nEDITED = 1\n")
    git("replace", honest, commit("stages"))
    project.make()

    def forge(result: Any) -> None:
        for taken in (result["run"]["provenance"], result["provenance"]):
            taken["git"]["commit"] = honest

    project.edit(forge)
    project.forge_lock()
    assert project.broken().at(f"{RESULT}, run.provenance.sources, {ENGINE}", f"commit {honest[:12]}")


def test_a_commit_that_is_in_no_history_of_head(project: Project) -> None:
    other = git(*IDENTITY, "commit-tree", "-m", "x", "HEAD^{tree}")

    def forge(result: Any) -> None:
        result["provenance"]["git"]["commit"] = other

    project.edit(forge)
    project.forge_lock()
    said = project.broken().at(f"{RESULT}.provenance.git.commit")
    assert (said.found, said.held_against) == (other, "a commit that HEAD follows from")


def test_the_verifier_says_by_which_code_it_looked(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "__file__", str(Path("stages/audit/history.py").absolute()))
    assert str(history.verifier()) == f"verified by commit {git('rev-parse', 'HEAD')} without changes"
    project.append("stages/audit/checks.py", "\n")
    assert history.verifier().changed == ["stages/audit/checks.py"]
    shutil.rmtree(".git")
    assert history.verifier().commit is None


def test_arrays_made_again_are_held_against_the_record(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--data` as with raw data here, whose making is another test's (tests/pipeline)."""
    content = Evaluation.read(RESULT, "evaluate").run.data.content()
    monkeypatch.setattr(derive, "_raw", lambda dataset, workspace: [])

    def said(**sha256: str) -> list[Finding]:
        made = DatasetDescription.model_validate(content | {"sha256": content["sha256"] | sha256})
        monkeypatch.setattr(derive, "_made", lambda dataset, workspace: made)
        return list(derive.derive(project.number(), Workspace("quick", project.params)))

    (found,) = said()
    assert (found.kind, found.level) == ("note", "derived")
    (found,) = said(train_labels="0" * 64)
    assert (found.kind, found.where) == ("broken", f"{RESULT}, run.data, sha256.train_labels")
    (found,) = said(augmented_images="0" * 64)  # rounded otherwise on another processor, and not read
    assert (found.kind, found.level) == ("note", "derived")
    assert found.where == "mnist: all arrays that the training reads, made again, are the recorded ones"
    monkeypatch.setattr(derive, "reads_copies", lambda run: True)
    (found,) = said(augmented_images="0" * 64)
    assert (found.kind, found.level) == ("incomplete", "derived")


def test_raw_files_that_are_not_the_canonical(project: Project) -> None:
    Path("data/raw/mnist").mkdir(parents=True)
    Path("data/raw/mnist/t10k-labels-idx1-ubyte").write_bytes(b"forged")
    found = list(derive.derive(project.number(), Workspace("quick", project.params)))
    assert {one.where.rpartition("/")[2]: one.kind for one in found} == {
        "train-images-idx3-ubyte": "incomplete",
        "train-labels-idx1-ubyte": "incomplete",
        "t10k-images-idx3-ubyte": "incomplete",
        "t10k-labels-idx1-ubyte": "broken",
    }


def test_a_pipeline_whose_preprocess_lacks_an_option_is_refused(project: Project) -> None:
    text = Path("dvc.yaml").read_text()
    assert "--samples-out" in text
    Path("dvc.yaml").write_text(text.replace("--samples-out", "--sheets"))
    with pytest.raises(StageError, match=r"dvc\.yaml, preprocess@quick-mnist: its command has no --samples-out"):
        derive._made("mnist", Workspace("quick", project.params))


def test_nothing_is_trained_again_that_could_not_be_tested(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun, "_refuse_another", lambda *_: None)  # the training's inputs are here
    monkeypatch.setattr(subprocess, "run", None)
    (found,) = rerun.train_again(project.number(), Workspace("quick", project.params), 3.0, 20.0)
    assert (found.kind, found.level) == ("incomplete", "retrained")
    assert found.where == "data/processed/quick/mnist/test/images.npy"
    assert found.how.endswith(f"dvc repro {EVALUATE}")


# What git has of the same number


def of_history(project: Project) -> list[Finding]:
    return check_earlier([project.number()], Workspace("quick", project.params))[project.number()]


def all_right(result: dict[str, Any]) -> None:
    """Logits that name every image right, and all that is counted from them."""
    labels = classes_of(result["labels"])
    logits = np.full((len(labels), 10), -1, np.float32)
    logits[np.arange(len(labels)), labels] = 9
    write_bytes(LOGITS, npy(logits))
    result["sha256"]["logits.npy"] = hashlib.sha256(npy(logits)).hexdigest()
    result["predictions"] = result["labels"]
    counted_again(result, result["labels"])


def test_new_predictions_of_the_same_weights_contradict_the_commit_that_had_others(project: Project) -> None:
    """Committed too: every record, hash and page may be made again with it."""
    before = Evaluation.read(RESULT, "evaluate")
    first = commit("reports/quick/cells")[:12]
    assert of_history(project) == []
    project.edit(all_right)
    commit("reports/quick/cells")
    (said,) = of_history(project)
    other = f"{before.percent:.2f} %, by the same weights and numerics, as commit {first} has it"
    assert (said.kind, said.where, said.found) == ("broken", f"{RESULT}, predictions", "100.00 % right")
    assert said.held_against == other


def test_other_logits_of_the_same_weights_contradict_the_commit_that_had_them(project: Project) -> None:
    """Every prediction stays: the logits are surer of it. Its loss and probabilities are others."""
    before = Evaluation.read(RESULT, "evaluate")
    first = commit("reports/quick/cells")[:12]

    def surer(result: dict[str, Any]) -> None:
        logits = 2 * np.load(LOGITS)
        write_bytes(LOGITS, npy(logits))
        result["sha256"]["logits.npy"] = hashlib.sha256(npy(logits)).hexdigest()

    project.edit(surer)
    commit("reports/quick/cells")
    (said,) = of_history(project)
    assert (said.kind, said.where) == ("broken", f"{RESULT}, sha256.logits.npy")
    assert said.held_against == f"{before.sha256.logits}, by the same weights and numerics, as commit {first} has it"


def test_true_labels_that_were_exchanged_are_named_whatever_the_results_have(project: Project) -> None:
    file = Path("data/labels/mnist.npy")
    labels = np.load(file)
    labels[0] = (labels[0] + 1) % 10
    np.save(file, labels)
    done = CliRunner().invoke(main, [*ROW])
    assert done.exit_code == 1
    assert f"{file}: sha256 " in done.stdout
    assert f"git checkout {file}" in done.stdout


def test_the_same_result_in_another_layout_says_nothing(project: Project) -> None:
    honest = Path(RESULT).read_text()
    without = {name: value for name, value in json.loads(honest).items() if name != "predictions"}
    for text in (json.dumps(json.loads(honest), separators=(",", ":")), json.dumps(without)):
        Path(RESULT).write_text(text)
        commit("reports/quick/cells")
    Path(RESULT).write_text(honest)
    assert of_history(project) == []


def test_weights_that_were_tested_on_another_device_are_noted(project: Project) -> None:
    before = Evaluation.read(RESULT, "evaluate")
    first = commit("reports/quick/cells")[:12]

    def test_again(result: dict[str, Any]) -> None:
        all_right(result)
        result["numerics"]["precision"] = "bfloat16"

    project.edit(test_again)
    (said,) = of_history(project)
    assert said.kind == "note"
    assert f"commit {first}, {before.percent:.2f} % instead of 100.00 %, of the same weights, tested on" in said.where


@pytest.mark.parametrize(
    ("change", "how"),
    [
        (lambda run: run["sha256"].update({"weights.safetensors": "1" * 64}), "the same device and versions"),
        (lambda run: run["numerics"].update(precision="bfloat16"), "another device or with other versions"),
        (lambda run: run["config"].update(epochs=3), None),
        (lambda run: run["provenance"]["code"].update(sha256="1" * 64), None),
        (lambda run: run.update(seed=1), None),
    ],
)
def test_a_result_that_was_trained_again_is_noted_and_one_of_other_settings_is_not(
    project: Project, change: Callable[[Any], None], how: str | None
) -> None:
    before = Evaluation.read(RESULT, "evaluate")
    first = commit("reports/quick/cells")[:12]

    def train_again(result: dict[str, Any]) -> None:
        all_right(result)
        change(result["run"])
        result["run"]["binding"] = "2" * 64

    project.edit(train_again, rebind=False)
    said = [str(one) for one in of_history(project)]
    of = f"commit {first}, {before.percent:.2f} % instead of 100.00 %, trained on {how}"
    assert len(said) == (how is not None)
    assert all(of in one for one in said)


def test_a_version_of_a_result_that_is_none_or_too_large_is_passed_over(project: Project) -> None:
    code = Evaluation.read(RESULT, "evaluate").run.provenance.code.sha256
    honest = Path(RESULT).read_text()
    for text in ("[" * 9000 + code, f'["{code}"]', f'{{"run": ["{code}"]}}', "{", code + " " * 2**24):
        Path(RESULT).write_text(text)
        commit("reports/quick/cells")
    Path(RESULT).write_text(honest)
    assert of_history(project) == []


def test_a_result_that_was_removed_throughout_is_noted_with_the_newest_commit_that_has_it(project: Project) -> None:
    """With its entries in dvc.lock and its lines of the pages; no attempt names a training that is older than these."""
    commit("reports/quick/cells")
    project.edit(all_right)
    newest = commit("reports/quick/cells")[:12]
    Path(RESULT).write_text("{")
    commit("reports/quick/cells")
    for path in (RESULT, LOGITS):
        Path(path).unlink()
    project.pages()
    said = f"{RESULT}: no such result is here; commit {newest} has one, 100.00 %"
    assert [one.where for one in of_history(project)] == [said]
    done = CliRunner().invoke(main, [*ROW])
    assert f"\nnote:\n- {said}\n" in done.output


def test_a_version_that_this_clone_does_not_have_is_noted_and_hides_no_other(project: Project) -> None:
    first = commit("reports/quick/cells")[:12]
    Path(RESULT).write_text(Path(RESULT).read_text() + " ")
    commit("reports/quick/cells")
    blob = git("rev-parse", f"HEAD:{RESULT}")
    Path(f".git/objects/{blob[:2]}/{blob[2:]}").unlink()
    project.edit(all_right)
    wrong, unread = of_history(project)
    assert (wrong.kind, f"as commit {first} has it" in wrong.held_against) == ("broken", True)
    assert (unread.kind, unread.where.endswith("names a version of it that this clone does not have")) == ("note", True)


# Times


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda result: result["times"].update(seconds=99.0), f"{RESULT}, times.seconds"),
        (lambda result: result["run"]["times"].update(seconds=99.0), f"{RESULT}, run.times.seconds"),
        (lambda result: result["times"].update(started="2020-01-01T00:00:00+00:00"), f"{RESULT}, times.seconds"),
        (lambda result: earlier(result["times"]), f"{RESULT}, times"),
        (lambda result: earlier(result["run"]["times"]["epochs"][-1], "ended"), f"{RESULT}, times"),
        (lambda result: result["times"].update(ended="2026-01-01T00:00:00 noon Z"), f"{RESULT}, times"),
        (lambda result: result["run"]["times"].update(started="2031-01-01T00:00:00.000+00:00"), f"{RESULT}, times"),
        (lambda result: result["run"]["times"].update(ended="1999-01-01T00:00:00.000+00:00"), f"{RESULT}, times"),
        (lambda result: later(result), f"{RESULT}, times"),
    ],
)
def test_times_that_contradict_each_other(project: Project, change: Callable[[Any], None], where: str) -> None:
    project.edit(change)
    assert where in project.broken().places


def later(result: dict[str, Any]) -> None:
    """All of it in 2090, one after the other."""
    for times in (result["times"], result["run"]["times"], *result["run"]["times"]["epochs"]):
        times.update(
            {name: text.replace("2026", "2090") for name, text in times.items() if name in ("started", "ended")}
        )


def earlier(times: dict[str, Any], *names: str) -> None:
    """The same a day before."""
    for name in names or ("started", "ended"):
        times[name] = (datetime.fromisoformat(times[name]) - timedelta(days=1)).isoformat()


# What git says of the recorded commit


def test_an_attempt_that_was_cut_off_and_one_that_was_dropped_are_named(project: Project) -> None:
    path = attempts_path("quick")
    journal = Journal(project.params, "quick", Path("data/runs/quick/mnist/resnet18/s7"))
    journal.started("mnist/resnet18", 7, "0" * 32, "0" * 40, "cpu")
    journal.ended("finished", "1" * 64)
    commit(path.as_posix())
    done = CliRunner().invoke(aggregate_tables, shlex.split(Stages("quick", project.params).tables().cmd)[3:])
    assert done.exit_code == 0
    project.forge_lock()
    page = Path("reports/quick/tables/tables.md").read_text()
    assert "1 started; 0 of the trainings are in these tables; 3 results here are older." in page
    assert "**Started, and not in these tables**: `mnist/resnet18` seed 7 (finished, 2" in page
    done = CliRunner().invoke(main, [*ROW])
    assert "; nothing broken; 1 training came to an end without a result here\n" in done.output
    assert "the training of mnist/resnet18, seed 7, finished, begun 2" in done.output
    assert "run.binding 111111111111, has no result here\n" in done.output
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    _, said = project.verify(*ROW)
    assert "no end of mnist/resnet18, seed 7" in {one["found"] for one in said["pages"]["findings"]}
    path.write_text("".join([lines[0], lines[2]]))
    _, said = project.verify(*ROW)
    found = {one["held_against"] for one in said["pages"]["findings"]}
    assert "the entry that a later one names: it was removed" in found


def of_attempts(project: Project) -> list[str]:
    """What is said of the attempts and is no note."""
    found = check_attempts(Workspace("quick", project.params), [])
    return [f"{one.found}; {one.held_against}" for one in found if one.kind == "broken"]


def test_of_a_chain_that_was_made_anew_only_the_removed_attempt_is_named(project: Project) -> None:
    path = attempts_path("quick")
    journal = Journal(project.params, "quick", Path("data/runs/quick/mnist/resnet18/s7"))
    for seed in (7, 8, 9):
        journal.started("mnist/resnet18", seed, "0" * 32, "0" * 40, "cpu")
        journal.ended("finished", str(seed) * 64)
    whole = commit(path.as_posix())[:12]
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    chained(path, [one for one in entries if one.get("seed") != 8 and one.get("run") != "8" * 64])
    (start, end) = of_attempts(project)
    assert start.startswith("no start of mnist/resnet18, seed 8; the one of 2")
    assert end.startswith("no end of mnist/resnet18, seed 8; the one of 2")
    assert end.endswith(f"as commit {whole} has it")
    chained(path, [entries[0], *entries[3:], *entries[1:3]])
    assert of_attempts(project) == [f"lines of other hashes; those that commit {whole} has of the same content"]


def chained(path: Path, entries: list[dict[str, Any]]) -> None:
    """Write entries with a chain of hashes that holds."""
    last: list[str] = []
    hashes: dict[str, str] = {}  # new ones by those that were
    lines = []
    for entry in entries:
        one = {name: value for name, value in entry.items() if name != "sha256"} | {"after": last}
        if "attempt" in one:
            one["attempt"] = hashes[one["attempt"]]
        hashes[entry["sha256"]] = one["sha256"] = digest(one)
        last = [one["sha256"]]
        lines.append(json.dumps(one) + "\n")
    path.write_text("".join(lines))


def test_a_planned_number_whose_training_ended_and_whose_result_was_dropped(project: Project) -> None:
    """Its files, its entries in dvc.lock and its lines of the pages are gone; the attempt is not."""
    journal = Journal(project.params, "quick", Path("data/runs/quick/mnist/vgg11/s0"))
    journal.started("mnist/vgg11", 0, "0" * 32, "0" * 40, "cpu")
    journal.ended("diverged", "1" * 64)
    _, said = project.verify("I", "VGG11")
    (number,) = said["numbers"]
    (finding,) = number["findings"]
    assert (number["status"], finding["where"]) == ("incomplete", "reports/quick/cells/mnist/vgg11-s0.json")


def test_a_cell_that_an_attempt_names_is_no_path_to_read(project: Project, tmp_path: Path) -> None:
    """A result that lies where the cell's name leads, outside of the project, is no result of it."""
    binding = json.loads(Path(RESULT).read_text())["run"]["binding"]
    shutil.copy(RESULT, tmp_path / "outside-s0.json")
    journal = Journal(project.params, "quick", Path("data/runs/quick/mnist/resnet18/s0"))
    for cell in (str(tmp_path / "outside"), CELL):
        journal.started(cell, 0, "0" * 32, "0" * 40, "cpu")
        journal.ended("finished", binding)
    (one,) = Workspace("quick", project.params).dropped
    assert one.start.cell == str(tmp_path / "outside")


def test_a_verdict_that_is_loosened_afterwards_is_said_on_the_page_and_by_verify(project: Project) -> None:
    began = git("rev-parse", "HEAD")[:12]
    assert "(`verdicts`, `claims`) are those of then." in Path("reports/quick/tables/tables.md").read_text()
    project.edit_params(lambda raw: raw["verdicts"]["near"].update(mnist=9.0))
    project.make().pages()
    page = Path("reports/quick/tables/tables.md").read_text()
    assert f"**The settings that judge results (`verdicts`, `claims`) changed after commit {began}.**" in page
    _, said = project.verify(*ROW)
    notes = [one["where"] for one in said["pages"]["findings"] if one["kind"] == "note"]
    since = f"are not those of commit {began} (attempts are kept since {began})"
    (said,) = [note for note in notes if "which judge results" in note]
    assert said.endswith(f"{since}, by which 3 of the results were trained")


def trained_at(result: Evaluation, commit: str) -> Evaluation:
    """The result, of a training at another commit."""
    made = result.run.provenance
    provenance = made.model_copy(update={"git": made.git.model_copy(update={"commit": commit})})
    return result.model_copy(update={"run": result.run.model_copy(update={"provenance": provenance})})


def test_one_note_names_all_commits_that_judged_otherwise(project: Project) -> None:
    """Results may be older than the attempts."""
    result = Evaluation.read(RESULT, "evaluate")
    commits = [git(*IDENTITY, "commit-tree", "-m", str(number), "HEAD^{tree}") for number in range(5)]
    project.edit_params(lambda raw: raw["verdicts"]["near"].update(mnist=9.0))
    attempts_path("quick").unlink()
    begin(attempts_path("quick"), project.params, git("rev-parse", "HEAD"))
    results = [trained_at(result, commit) for commit in [*commits, commits[0]]]
    (said,) = check_attempts(Workspace("quick", project.params), results)
    named = ", ".join(commit[:12] for commit in commits[:4])
    assert said.where.endswith(f"are not those of commits {named}, and 1 more, by which 6 of the results were trained")


def test_nothing_is_unpickled_by_what_verifies_explains_and_makes_the_pages(project: Project) -> None:
    """Trainings and tests: tests/unit/test_import_rules.py runs those of each family so."""
    with no_unpickling():
        assert project.verify(*ROW)[0] == 0
        assert CliRunner().invoke(explain, [*ROW]).exit_code == 0
        project.pages()


# What is hostile: one finding about the number, and nothing read that dvc.yaml does not name

NOT_OURS = "0123456789 not for anybody"
FORGED = "x\nnumbers: 35 proved, 0 incomplete, 0 broken; the pages: proved (1.0 s)"


def _input(path: str) -> Callable[[Any], None]:
    md5 = "0" * 32
    return lambda result: result["run"]["provenance"]["inputs"].update({path: {"md5": md5}})


def _run_is(path: str) -> Callable[[Any], None]:
    def change(result: Any) -> None:
        inputs = result["provenance"]["inputs"]
        inputs[path] = inputs.pop(next(name for name in inputs if name.startswith("data/runs")))

    return change


def _not_committed(path: str) -> Callable[[Any], None]:
    """A source that is none, whose difference to the commit is a link."""
    head = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n"
    link = f"{head}+{path}\n\\ No newline at end of file\n"

    def change(result: Any) -> None:
        taken = result["run"]["provenance"]
        taken["sources"] |= {path: "0" * 32, "l": "0" * 32}
        taken["git"] |= {"changed": [path, "l"], "dirty": True, "difference": link}

    return change


@pytest.mark.parametrize(
    "change",
    [
        _input("../secret"),
        _input("/dev/zero"),
        _input(FORGED),
        _input("x" * 9000),
        _input("x\0y"),
        _run_is("../outside"),
        lambda result: result["run"]["data"]["made_from"]["raw_sha256"].update({"../../../secret": "0" * 64}),
        lambda result: result["run"]["provenance"]["spec"].update(path="../secret"),
        lambda result: result["run"]["provenance"]["spec"].update(path="x\0y"),
        _not_committed("../secret"),
    ],
)
def test_no_path_is_read_that_dvc_yaml_does_not_name(
    project: Project, change: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = Path("../secret").resolve()
    secret.write_text(NOT_OURS)
    opened: list[Path] = []
    real = Path.open

    def opens(path: Path, *rest: Any, **named: Any) -> Any:
        opened.append(path)
        return real(path, *rest, **named)

    project.edit(change)
    monkeypatch.setattr(Path, "open", opens)
    findings = project.findings()
    assert any(finding.kind == "broken" for finding in findings)
    text = "\n".join(map(str, findings))
    assert md5(NOT_OURS.encode(), usedforsecurity=False).hexdigest() not in text
    assert not any(line.startswith("numbers:") for line in text.splitlines())
    assert {path for path in opened if path.resolve() == secret or path.as_posix().startswith("/dev")} == set()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (LOGITS, "a FIFO"),
        (RESULT, "a FIFO"),
        (SPEC, "a FIFO"),
        (f"data/predictions/quick/{CELL}-s0/labels.npy", "a FIFO"),
        (f"data/runs/quick/{CELL}/s0/weights.safetensors", "a FIFO"),
    ],
)
def test_a_fifo_is_named_and_nobody_waits_for_it(project: Project, path: str, kind: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).unlink(missing_ok=True)
    os.mkfifo(path)
    said = [finding for finding in project.findings() if finding.kind == "broken" and kind in finding.found]
    assert said
    assert all(path in f"{finding.where} {finding.found}" for finding in said)


def _header(shape: str, descr: str = "<f4") -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        _header("(100000000000000000000, 10)"),
        _header("(-5, 10)"),
        _header("(1000000000000, 10)"),
        _header("(500, 10)", "|O") + b"\x80\x04."[:1] * 40,
        _header("(500, 10)").replace(b"NUMPY\x01", b"NUMPY\x09"),
        _header("(500, 10.0)"),
        _header("(True, 10)") + bytes(40),
        _header("(((((((((("),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        b"PK\x03\x04",
        b"",
    ],
)
def test_what_is_no_array_of_logits_is_a_finding(project: Project, content: bytes) -> None:
    write_bytes(LOGITS, content)
    assert project.broken().at(LOGITS, "float32 logits of ").found == "another array"


def test_logits_in_fortran_order_are_other_bytes(project: Project) -> None:
    values = np.asfortranarray(np.load(LOGITS))
    Path(LOGITS).unlink()
    np.save(LOGITS, values)
    assert {finding.where for finding in project.broken().findings} == {LOGITS}


def _bomb(side: int) -> str:
    """A PNG of `side` x `side` black pixels whose data is not even there."""
    chunk = b"IHDR" + side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    return b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + zlib.crc32(chunk).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("text", [_bomb(60_000), _bomb(12_000), "AAAA", "A"])
def test_a_picture_is_not_unpacked_before_its_size_is_known(text: str) -> None:
    good = most_confused(np.zeros((2, 1, 8, 8), np.uint8), *_pair(), np.arange(2))[0]["png"]
    assert _same_picture(good, good)
    assert not _same_picture(text, good)
    assert not _same_picture(good, text)


def _pair() -> tuple[Any, Any]:
    return np.array([0, 1], np.uint8), np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("dvc.lock", lambda text: "junk: 1\n" + text),
        ("dvc.lock", lambda text: "# all proved\n" + text),
        ("dvc.lock", lambda text: "<<<<<<< HEAD\n" + text),
        ("dvc.lock", lambda text: "schema: '2.0'\nstages: [1, 2]\n"),
        ("dvc.lock", lambda text: text.encode("utf-16")),
        ("dvc.lock", lambda text: text + "x: " + "[" * 100_000),
        ("dvc.lock", lambda text: text + "x: &x [*x]\n"),
        (RESULT, lambda text: "[" * 100_000),
        (RESULT, lambda text: text.encode("utf-16")),
        (RESULT, lambda text: text.replace('"correct":', '"correct": ' + "1" * 4000 + ', "x":', 1)),
        (RESULT, lambda text: text.replace('"stage": "', '"stage": "\\ud800', 1)),
    ],
)
def test_what_cannot_be_read_is_one_finding_of_its_number(project: Project, file: str, change: Any) -> None:
    text = change(Path(file).read_text())
    write_bytes(file, text if isinstance(text, bytes) else text.encode())
    said = project.broken().findings
    assert said
    assert said[0].where == file
    assert "\n" not in str(said[0])


@pytest.mark.parametrize(
    "change", [lambda text: "stages: [1, 2]\n", lambda text: "", lambda text: "<<<<<<< HEAD\n" + text]
)
def test_a_pipeline_that_is_none_is_one_line(project: Project, change: Callable[[str], str]) -> None:
    write_bytes("dvc.yaml", change(Path("dvc.yaml").read_text()).encode())
    status, said = project.verify(*ROW)
    assert status == 1
    assert said.startswith("Error: dvc.yaml")
    assert len(said.splitlines()) == 1


def test_the_other_numbers_are_judged_where_one_is_hostile(project: Project) -> None:
    Path(RESULT).unlink()
    os.mkfifo(RESULT)
    _, said = project.verify("II")
    found = {number["cell"]: number for number in said["numbers"]}
    assert found[CELL]["status"] == "broken"
    assert found[CELLS[1]]["percent"] is not None
    assert not any(finding["kind"] == "broken" for finding in found[CELLS[1]]["findings"])
    assert found[CELL]["findings"][0]["found"] == "a FIFO"
