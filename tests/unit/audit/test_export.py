"""A budget's results as a Process Run Crate 0.5: the profile's rules, what the actions say, same bytes, refusals.

The crate is read again with rocrate. https://w3id.org/ro/wfrun/process/0.5 and RO-Crate 1.1 say what must hold.
"""

import json
import re
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from rocrate.rocrate import ROCrate

from stages.audit import crate, export
from stages.audit.export import main
from stages.core.errors import CorruptFileError
from stages.core.files import json_text
from stages.records.test_split import TEST_SPLIT
from tests.unit.audit.conftest import lock_text
from tests.unit.report.conftest import ROOT, Project, sha, short, spec, time

COMMIT = sha("commit")[:40]
DIRTY = {"commit": COMMIT, "dirty": True, "changed": ["stages/engine/loop.py"], "difference": "x"}
DONE = time(4, 13, 2)


class Clone(Project):
    """A project as a fresh clone has it: the pipeline's files and reports, no data."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cells = folder / "reports" / "quick" / "cells"
        for name in ("dvc.yaml", "requirements.lock", "pyproject.toml"):
            shutil.copy2(ROOT / name, folder / name)
        (folder / "dvc.lock").write_text(lock_text({}))

    def fill(self, budget: str | None = None) -> "Clone":
        super().fill(budget)
        tables = self.folder / "reports" / "quick" / "tables"
        tables.mkdir()
        (tables / "table_4.csv").write_text("row,paper\n")
        (tables / "table_4.tex").write_text("")
        (tables / ".table_4.csv.torn").write_text("ro")
        return self

    def export(self, *words: str) -> Result:
        return CliRunner().invoke(main, list(words))


FOUND: dict[str, Any] = {"budget": "quick", "numbers": [{"status": "broken"}], "pages": {"status": "holds"}}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export, "verification", lambda *_: FOUND)  # 3 s each time
    return Clone(tmp_path).fill()


def graph(folder: Path) -> dict[str, dict[str, Any]]:
    entities = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities)
    return found


@pytest.fixture
def exported(clone: Clone) -> dict[str, dict[str, Any]]:
    done = clone.export("--out", "crate")
    assert done.exit_code == 0, done.output
    return graph(clone.folder / "crate")


def pointed(value: Any) -> list[str]:
    """The ids that a value of an entity points to."""
    if isinstance(value, dict):
        return [value["@id"]]
    return [name for one in value for name in pointed(one)] if isinstance(value, list) else []


def test_every_rule_that_a_process_run_crate_must_keep(exported: dict[str, dict[str, Any]], clone: Clone) -> None:
    crate = ROCrate(clone.folder / "crate")
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    root = crate.root_dataset
    assert root["conformsTo"].id == "https://w3id.org/ro/wfrun/process/0.5"
    assert root["conformsTo"].type == "CreativeWork"
    assert root["datePublished"] == DONE
    assert root["name"] == "very-deep-reproduced: results of the budget quick"
    assert "Budget quick: " in root["description"]
    assert root["license"]["name"] == "No licence stated"
    actions = crate.get_by_type("CreateAction")
    assert len(actions) == 2 * 35  # 34 rows and a study's cell, trained and evaluated
    assert {action.id for action in root["mentions"]} == {action.id for action in actions}
    for action in actions:
        assert set(action["instrument"].type) == {"SoftwareApplication", "SoftwareSourceCode"}
        assert action["startTime"] < action["endTime"]
        assert action["actionStatus"] == "http://schema.org/CompletedActionStatus"
        assert all(value.type == "PropertyValue" for value in action["environment"])
        for thing in [*action["object"], *action["result"]]:
            assert thing.type in ("CreativeWork", "File", "PropertyValue")


def test_nothing_points_nowhere(exported: dict[str, dict[str, Any]]) -> None:
    outside = {"https://w3id.org/ro/crate/1.1"}
    for entity in exported.values():
        for value in entity.values():
            assert set(pointed(value)) <= exported.keys() | outside, entity["@id"]


def test_files_are_there_whole_and_nothing_else(exported: dict[str, dict[str, Any]], clone: Clone) -> None:
    folder = clone.folder / "crate"
    files = {name: entity for name, entity in exported.items() if entity["@type"] == "File"}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == files.keys() | {"ro-crate-metadata.json", "ro-crate-preview.html"}
    assert {"params.yaml", "dvc.lock", "data/paper/tables.csv", "reports/quick/tables/table_4.csv"} <= there
    assert not any("torn" in name for name in there)
    assert exported["reports/quick/tables/table_4.tex"]["encodingFormat"] == "application/x-tex"
    assert set(pointed(exported["./"]["hasPart"])) == files.keys()
    for name, entity in files.items():
        content = (folder / name).read_bytes()
        assert name == "verification.json" or content == (clone.folder / name).read_bytes()
        assert (entity["sha256"], entity["contentSize"]) == (sha256(content).hexdigest(), str(len(content)))


def test_every_accuracy_is_counted_again_from_the_crate_alone(exported: dict[str, dict[str, Any]]) -> None:
    """As docs/verification.md says, with numpy and nothing of ours."""
    results = [name for name in exported if re.fullmatch(r"reports/quick/cells/.*-s0\.json", name)]
    assert len(results) == 35
    for name in results:
        dataset = name.split("/")[3]
        logits = np.load(Path("crate", name).with_suffix(".npy"))
        labels = np.load(f"crate/data/labels/{dataset}.npy")[np.arange(len(logits)) * 10000 // len(logits)]
        assert (logits.argmax(1) == labels).mean() == json.loads(Path("crate", name).read_text())["accuracy"]
        assert "The true labels of all 10000 test images" in exported[f"data/labels/{dataset}.npy"]["description"]


def test_other_labels_are_not_enclosed(clone: Clone) -> None:
    labels = np.load("data/labels/mnist.npy")
    np.save("data/labels/mnist.npy", labels[::-1])
    done = clone.export("--out", "crate")
    assert done.exit_code == 1
    assert done.output.startswith("Error: data/labels/mnist.npy: sha256 ")
    assert not Path("crate").exists()


def test_a_number_is_followed_from_its_table_to_code_data_and_weights(
    exported: dict[str, dict[str, Any]], clone: Clone
) -> None:
    result = "reports/quick/cells/cifar10/vgg16-adam-s0.json"
    assert {"@id": result} in exported["reports/quick/tables/table_4.csv"]["isBasedOn"]
    tested = next(entity for entity in exported.values() if result in pointed(entity.get("result")))
    assert tested["@id"] == "#evaluate-cifar10@quick-vgg16-adam-0"
    weights = {name for name in pointed(tested["object"]) if "weights.safetensors" in name}
    trained = next(entity for entity in exported.values() if weights <= set(pointed(entity.get("result", []))))
    assert trained["@id"] == "#train-cifar10@quick-vgg16-adam-0"
    assert exported[weights.pop()]["sha256"] == sha("weights cifar10/vgg16-adam 0")
    settings = {exported[name]["name"]: exported[name].get("value") for name in pointed(trained["object"])}
    assert (settings["cell.optimizer"], settings["cell.lr"], settings["cell.hidden_layers"]) == ("adam", 0.001, "[]")
    data = next(exported[name] for name in pointed(trained["object"]) if name.startswith("#data/processed/"))
    whole = clone.read("cifar10/vgg16-adam")["run"]["provenance"]["inputs"]["data/processed/quick/cifar10/train"]
    assert data["identifier"] == f"md5:{whole['md5']}"
    parts = {exported[name]["name"].split("/")[-1]: exported[name] for name in pointed(data["hasPart"])}
    assert {name: part["md5"] for name, part in parts.items()} == whole["files"]
    assert (parts["train_images.npy"]["sha256"], parts["dataset.json"].get("sha256")) == (
        sha("cifar10 train_images"),
        None,
    )
    assert pointed(exported[data["isBasedOn"]["@id"]]["hasPart"])
    code = exported[trained["instrument"]["@id"]]
    assert (code["name"], code["version"], code["identifier"]) == (
        "stages.train",
        COMMIT,
        f"swh:1:rev:{COMMIT}",
    )
    assert {exported[name]["name"] for name in pointed(code["hasPart"])} == {
        "stages/__init__.py",
        "stages/train/__main__.py",
    }
    asked = next(exported[name] for name in pointed(trained["object"]) if name.startswith("#reports/quick/specs/"))
    provenance = clone.read("cifar10/vgg16-adam")["run"]["provenance"]
    assert (asked["md5"], asked["version"]) == (provenance["spec"]["md5"], f"code {provenance['code']['sha256']}")
    packages = {
        exported[name]["name"]: exported[name]["softwareVersion"] for name in pointed(code["softwareRequirements"])
    }
    assert packages == {"torch": "2.14.1", "numpy": "2.4.6"}  # mlflow was not installed
    machine = {exported[name]["name"]: exported[name]["value"] for name in pointed(trained["environment"])}
    assert (machine["processor"], machine["threads"], machine["MKL_NUM_THREADS"]) == ("A processor", 1, "1")


def test_a_diverged_training_is_completed_and_says_so(clone: Clone) -> None:
    clone.change("mnist/vgg16", run__outcome="diverged")
    assert clone.export("--out", "crate").exit_code == 0
    action = graph(clone.folder / "crate")["#train-mnist@quick-vgg16-0"]
    assert action["actionStatus"].endswith("CompletedActionStatus")
    assert "diverged after 2 epochs" in action["description"]
    assert "error" not in action


def test_code_with_uncommitted_changes_is_not_named_by_its_commit(clone: Clone) -> None:
    clone.change("mnist/vgg16", run__provenance__git=DIRTY)
    assert clone.export("--out", "crate").exit_code == 0
    found = graph(clone.folder / "crate")
    code = found[found["#train-mnist@quick-vgg16-0"]["instrument"]["@id"]]
    assert code["version"] == f"{COMMIT}-dirty"
    assert "identifier" not in code
    assert "stages/engine/loop.py" in code["description"]
    assert code["@id"] != found["#train-mnist@quick-vgg11-0"]["instrument"]["@id"]


def test_test_arrays_have_the_hashes_of_the_description(exported: dict[str, dict[str, Any]]) -> None:
    tested = pointed(exported["#evaluate-mnist@quick-vgg16-0"]["object"])
    folder = next(exported[name] for name in tested if name.startswith("#data/processed/quick/mnist/test-"))
    parts = {exported[name]["name"].split("/")[-1]: exported[name].get("sha256") for name in pointed(folder["hasPart"])}
    assert parts == {"images.npy": TEST_SPLIT["mnist"].images, "labels.npy": TEST_SPLIT["mnist"].labels}


def test_test_data_of_another_description_than_the_trainings_is_refused(clone: Clone) -> None:
    inputs = clone.read("mnist/vgg16")["provenance"]["inputs"]
    inputs["data/processed/quick/mnist/train/dataset.json"]["md5"] = short("another")
    clone.change("mnist/vgg16", rebind=False, provenance__inputs=inputs)
    assert f"the test read dataset.json of md5 {short('another')}, the training one of " in refused(clone, "--out", "x")


def test_the_repositorys_licence_is_the_crates(clone: Clone) -> None:
    (clone.folder / "LICENSE").write_text("free")
    assert clone.export("--out", "crate").exit_code == 0
    found = graph(clone.folder / "crate")
    assert found["./"]["license"] == {"@id": "LICENSE"}
    assert found["LICENSE"]["@type"] == "File"


def test_same_results_same_bytes_as_folder_and_as_zip(clone: Clone) -> None:
    for name in ("one", "two", "one.zip", "two.zip"):
        assert clone.export("--budget", "quick", "--out", name).exit_code == 0
    files = [
        sorted(path.relative_to(name) for path in Path(name).rglob("*") if path.is_file()) for name in ("one", "two")
    ]
    assert files[0] == files[1]
    assert all((Path("one") / name).read_bytes() == (Path("two") / name).read_bytes() for name in files[0])
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
    with zipfile.ZipFile("one.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name.as_posix(): (Path("one") / name).read_bytes() for name in files[0]
        }
    assert len(ROCrate("one.zip").get_by_type("CreateAction")) == 70


def refused(clone: Clone, *words: str) -> str:
    before = sorted(clone.folder.rglob("*"))
    done = clone.export(*words)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    assert sorted(clone.folder.rglob("*")) == before
    return done.output


def test_refusals_are_one_line_and_write_nothing(clone: Clone) -> None:
    (clone.folder / "full").mkdir()
    (clone.folder / "full" / "mine").write_text("mine")
    (clone.folder / "old.zip").write_text("mine")
    assert "budget: 'large' is not allowed; allowed: one of quick, paper" in refused(
        clone, "--budget", "large", "--out", "x"
    )
    assert "--out: 'full' is not allowed" in refused(clone, "--out", "full")
    assert "--out: 'old.zip' is not allowed" in refused(clone, "--out", "old.zip")
    assert "cannot be written" in refused(clone, "--out", "params.yaml/x")


def test_the_results_that_are_there_are_exported(clone: Clone) -> None:
    """A budget that takes days is exported as far as it is; without any result there is nothing to export."""
    clone.remove("mnist/vgg16")
    assert clone.export("--out", "crate").exit_code == 0
    found = graph(clone.folder / "crate")
    assert "#train-mnist@quick-vgg16-0" not in found
    assert "#train-mnist@quick-vgg11-0" in found
    assert "reports/paper/cells is missing" in refused(clone, "--budget", "paper", "--out", "x.zip")


def test_logits_are_in_the_crate_beside_their_result(exported: dict[str, dict[str, Any]], clone: Clone) -> None:
    tested = exported["#evaluate-mnist@quick-vgg16-0"]
    logits = "reports/quick/cells/mnist/vgg16-s0.npy"
    assert {"@id": logits} in tested["result"]
    assert exported[logits]["sha256"] == clone.read("mnist/vgg16")["sha256"]["logits.npy"]


def test_logits_that_are_missing_are_named_with_what_makes_them(clone: Clone) -> None:
    clone.path("mnist/vgg16").with_suffix(".npy").unlink()
    said = refused(clone, "--out", "x")
    assert "vgg16-s0.npy is missing; it is made by: git checkout, or dvc repro evaluate-mnist@quick-vgg16-0" in said


def test_a_spec_that_is_there_is_a_file_of_the_crate(clone: Clone) -> None:
    key = clone.params.find("mnist/vgg16")[0]
    path = Path("reports/quick/specs/mnist/vgg16.json")
    spec(clone.params, "quick", key).write(path)
    assert clone.export("--out", "crate").exit_code == 0
    found = graph(clone.folder / "crate")
    assert {"@id": path.as_posix()} in found["#train-mnist@quick-vgg16-0"]["object"]
    assert found[path.as_posix()]["@type"] == "File"


def test_a_result_that_does_not_say_when_it_was_tested_is_refused(clone: Clone) -> None:
    content = clone.read("mnist/vgg16")
    del content["times"]
    clone.path("mnist/vgg16").write_text(json_text(content))
    said = refused(clone, "--out", "x")
    assert "vgg16-s0.json: no times; expected the record that dvc repro evaluate-mnist@quick-vgg16-0 writes" in said


def test_an_evaluation_that_names_no_weights_is_refused(clone: Clone) -> None:
    inputs = clone.read("mnist/vgg16")["provenance"]["inputs"]
    del inputs["data/runs/quick/mnist/vgg16/s0"]
    clone.change("mnist/vgg16", rebind=False, provenance__inputs=inputs)
    said = refused(clone, "--out", "x")
    assert "vgg16-s0.json: no one input with weights.safetensors and history.json and run.json" in said


def test_predictions_that_are_not_those_of_the_binding_are_refused(clone: Clone) -> None:
    content = clone.read("mnist/vgg16")
    clone.change("mnist/vgg16", rebind=False, predictions=content["labels"])
    assert "binding is not that of run, code, " in refused(clone, "--out", "x")


def test_a_missing_pipeline_file_is_named(clone: Clone) -> None:
    (clone.folder / "dvc.lock").unlink()
    assert "dvc.lock is missing; it is made by: git" in refused(clone, "--out", "x")


def test_the_verdict_is_enclosed_and_a_broken_number_said(clone: Clone) -> None:
    done = clone.export("--out", "crate")
    assert json.loads((clone.folder / "crate" / "verification.json").read_text()) == FOUND
    assert "verification.json: 1 broken" in done.output
    assert not [option for option in main.params if "verify" in option.name]


def test_verify_is_what_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clone = Clone(tmp_path).fill()
    found = export.verification("quick", clone.params)
    assert len(found["numbers"]) == 35
    assert {number["status"] for number in found["numbers"]} == {"broken"}  # dvc.lock is empty


def test_the_first_page_leads_into_the_book_and_to_the_verdict(clone: Clone) -> None:
    (clone.folder / "reports" / "quick" / "index.html").write_text("the book")
    assert clone.export("--out", "crate").exit_code == 0
    page = (clone.folder / "crate" / "ro-crate-preview.html").read_text()
    links = re.findall('href="([^"]+)"', page)
    assert links == ["reports/quick/index.html", "verification.json", "ro-crate-metadata.json"]
    assert all((clone.folder / "crate" / link).is_file() for link in links)
    assert graph(clone.folder / "crate")["ro-crate-preview.html"]["about"] == {"@id": "./"}


def test_authors_are_those_of_the_citation_file(exported: dict[str, dict[str, Any]], clone: Clone) -> None:
    name = "The authors of this repository"
    assert exported["#author-1"] == {"@id": "#author-1", "@type": "Organization", "name": name}
    orcid = "https://orcid.org/0000-0002-1825-0097"
    authors = [{"given-names": "Ada", "family-names": "Doe", "orcid": orcid}, {"name": "A group"}]
    (clone.folder / "CITATION.cff").write_text(json.dumps({"authors": authors}))
    assert clone.export("--out", "other").exit_code == 0
    found = graph(clone.folder / "other")
    assert pointed(found["./"]["author"]) == [orcid, "#author-2"]
    assert (found[orcid]["@type"], found[orcid]["name"]) == ("Person", "Ada Doe")
    action = found["#train-mnist@quick-vgg16-0"]
    assert pointed(action["agent"]) == [orcid, "#author-2"]


@pytest.mark.parametrize(
    ("citation", "said"),
    [
        ("authors: [Jane Doe]", "authors ['Jane Doe']; expected a list of mappings"),
        ("authors: Jane Doe", "authors 'Jane Doe'; expected a list of mappings"),
        ("authors:", "authors None; expected a list of mappings"),
        ("- Jane Doe", "['Jane Doe']; expected a mapping, with authors"),
        ("", "None; expected a mapping, with authors"),
    ],
)
def test_a_citation_file_without_authors_as_the_format_has_them_is_refused(
    citation: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("CITATION.cff").write_text(citation)
    with pytest.raises(CorruptFileError, match=re.escape(f"CITATION.cff: {said}")):
        crate._authors()


def test_a_known_licence_is_named_by_its_page(clone: Clone) -> None:
    (clone.folder / "LICENSE").write_text("MIT License\n\nCopyright")
    assert clone.export("--out", "crate").exit_code == 0
    found = graph(clone.folder / "crate")
    assert found["./"]["license"] == {"@id": "https://spdx.org/licenses/MIT"}
    assert found["https://spdx.org/licenses/MIT"]["name"] == "MIT License"
    assert found["LICENSE"]["@type"] == "File"


def test_weights_are_enclosed_when_asked_for_and_only_the_recorded_ones(clone: Clone) -> None:
    clone.keep("mnist/vgg16")
    path = Path("data/runs/quick/mnist/vgg16/s0/weights.safetensors")
    assert f"{path} is missing; it is made by: dvc pull, or dvc repro train-" in refused(
        clone, "--weights", "--out", "x"
    )
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    assert f"{path}: sha256 {sha256(b'weights').hexdigest()}; expected " in refused(clone, "--weights", "--out", "x")
    hashes = clone.read("mnist/vgg16")["run"]["sha256"]
    clone.change("mnist/vgg16", run__sha256=hashes | {"weights.safetensors": sha256(b"weights").hexdigest()})
    done = clone.export("--weights", "--out", "crate")
    assert done.exit_code == 0, done.output
    assert (clone.folder / "crate" / path).read_bytes() == b"weights"
    found = graph(clone.folder / "crate")
    assert {"@id": path.as_posix()} in found["#train-mnist@quick-vgg16-0"]["result"]
    assert {"@id": path.as_posix()} in found["#evaluate-mnist@quick-vgg16-0"]["object"]
