"""`verify` on a finished project: what it proves, and that it catches and names everything that was tampered with."""

import hashlib
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from stages.audit.recount import classes_of
from stages.audit.results import LooseResult, LooseRun
from stages.audit.verify import main
from stages.core.files import write_json
from stages.evaluate.metrics import score
from stages.evaluate.mistakes import most_confused
from stages.evaluate.report import report_text
from stages.records.digits import digits
from stages.records.provenance import hash_dependency
from stages.records.test_split import chosen_indices
from tests.pipeline.conftest import Repository
from tests.remembered import remembered_fingerprints, remembered_hashes, remembered_results, remembered_yaml

CELL = "mnist/resnet18-sgd"
ROW = ("II", "ResNet18 with SGD")
RESULT = f"reports/quick/cells/{CELL}-s0.json"
LOGITS, SPEC = f"reports/quick/cells/{CELL}-s0.npy", f"reports/quick/specs/{CELL}.json"
RUN, PREDICTIONS = f"data/runs/quick/{CELL}/s0", f"data/predictions/quick/{CELL}-s0"
TRAIN, EVALUATE, TABLES = (
    "train-mnist@quick-resnet18-sgd-0",
    "evaluate-mnist@quick-resnet18-sgd-0",
    "aggregate-tables@quick",
)


@pytest.fixture(scope="module", autouse=True)
def _remembered() -> Iterator[None]:
    with remembered_fingerprints(), remembered_hashes(), remembered_results(), remembered_yaml():
        yield


class Copied(Repository):
    """A copy of the finished project, to tamper with. Files share their bytes until they are written here."""

    def write(self, path: str, content: bytes | str) -> None:
        """Replace a file; the one that it shared its bytes with stays as it was."""
        file = self.folder / path
        file.unlink()
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a piece of a text file."""
        text = (self.folder / path).read_text()
        assert text.count(old) >= 1, old
        self.write(path, text.replace(old, new, 1))

    def flip(self, path: str) -> None:
        """Change one bit of a file, in its last byte."""
        content = bytearray((self.folder / path).read_bytes())
        content[-1] ^= 1
        self.write(path, bytes(content))

    def edit(self, path: str, change: Callable[[Any], None]) -> None:
        """Change a JSON file, and write it as the stages do."""
        content = json.loads((self.folder / path).read_text())
        change(content)
        (self.folder / path).unlink()
        write_json(self.folder / path, content)

    def edit_lock(self, change: Callable[[Any], None]) -> None:
        """Change entries of dvc.lock."""
        lock = YAML(typ="safe").load((self.folder / "dvc.lock").read_text())
        change(lock["stages"])
        (self.folder / "dvc.lock").unlink()
        with (self.folder / "dvc.lock").open("w") as file:
            YAML().dump(lock, file)

    def edit_params(self, change: Callable[[Any], None]) -> None:
        """Change params.yaml as a user would."""
        self.write("params.yaml", (self.folder / "params.yaml").read_bytes())
        super().edit_params(change)

    def percent(self) -> float:
        """The number of ROW."""
        return 100 * json.loads((self.folder / RESULT).read_text())["accuracy"]

    def verify(self, *arguments: str) -> tuple[int, str]:
        """The exit status of `verify`, and what it printed."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            done = CliRunner().invoke(main, arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    def broken(self, *where: str) -> "Broken":
        """What `verify` names as broken, of one row or of all."""
        status, output = self.verify(*where, "--json")
        assert status == 1, output
        said = json.loads(output)
        findings = [finding for number in said["numbers"] for finding in number["findings"]] + said["pages"]["findings"]
        return Broken([finding for finding in findings if finding["kind"] == "broken"])


def rebind(result: Any) -> None:
    """Make a result's bindings and checksum those of its parts, as somebody would who forges it throughout."""
    for where, kind in ((result["run"], LooseRun), (result, LooseResult)):
        where["binding"] = kind.model_validate(where).expected_binding()
    if "checksum" in result["run"]:
        result["run"]["checksum"] = LooseRun.model_validate(result["run"]).expected_checksum()


class Broken:
    """What is broken."""

    def __init__(self, findings: list[Any]) -> None:
        self.findings = findings
        self.places = {finding["where"] for finding in findings}

    def at(self, where: str, other: str = "") -> Any:
        """The one finding about a place that is held against something with this piece in it."""
        (found,) = (one for one in self.findings if one["where"] == where and other in one["held_against"])
        return found


@pytest.fixture
def copied(repository: Repository, tmp_path: Path) -> Copied:
    """The finished project once more; nothing that is done to it reaches the first."""
    folder = tmp_path / "project"
    left_out = shutil.ignore_patterns(".cache", "mlartifacts", "mlflow.db*", "tmp")
    shutil.copytree(repository.folder, folder, copy_function=os.link, ignore=left_out)
    return Copied(folder)


def entry(lock: Any, stage: str, kind: str, path: str) -> Any:
    return next(item for item in lock[stage][kind] if item["path"] == path)


# What holds


def test_every_number_of_a_finished_project_is_recounted(copied: Copied) -> None:
    status, output = copied.verify()
    lines = output.splitlines()
    assert status == 0, output
    assert lines[-1].startswith("numbers: 6 recounted, 0 incomplete, 0 broken; the pages: consistent (")
    assert sum(line.startswith("recounted ") for line in lines) == 6
    assert lines[0].startswith("quick: 6 of 6 numbers recounted (counted again from committed predictions ")
    assert lines[0].endswith("; nothing broken")
    assert "- predicted (predicted again from the weights) needs verify --weights\n    all numbers" in output
    assert "dvc.lock is in no commit here" in output


def test_a_clone_without_data_lacks_what_it_lacks_and_nothing_is_broken(copied: Copied) -> None:
    shutil.rmtree(copied.folder / "data/raw")
    for name in ("processed", "runs", "predictions"):
        shutil.rmtree(copied.folder / "data" / name)
    status, output = copied.verify(*ROW, "--json")
    (number,) = json.loads(output)["numbers"]
    assert (status, number["status"], number["level"]) == (0, "holds", "recounted")
    missed = {finding["where"]: finding["how"] for finding in number["findings"]}
    assert {PREDICTIONS, RUN, "data/raw/mnist", "data/processed/quick/mnist/train"} <= missed.keys()
    assert missed[PREDICTIONS] == "dvc repro, or dvc pull if a remote has it"


def test_a_commit_that_is_not_in_this_clone_is_missing_and_not_broken(copied: Copied) -> None:
    shutil.rmtree(copied.folder / ".git")
    status, output = copied.verify(*ROW, "--json")
    (number,) = json.loads(output)["numbers"]
    assert status == 3
    assert {finding["kind"] for finding in number["findings"]} == {"incomplete"}
    assert all(finding["where"].startswith("commit ") for finding in number["findings"])


# What is tampered with, one thing at a time


@pytest.mark.parametrize("file", ["table_2.md", "tables.md"])
def test_a_table_cell(copied: Copied, file: str) -> None:
    path = f"reports/quick/tables/{file}"
    lines = (copied.folder / path).read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if line.startswith(f"| {ROW[1]} |"))
    honest, number = lines[place], f"| {copied.percent():.0f}"
    assert number in honest
    lines[place] = honest.replace(number, "| 99", 1)
    copied.write(path, "".join(lines))
    said = copied.broken(*ROW).at(f"{path}, line {place + 1}")
    assert said["found"] == repr(lines[place].rstrip())
    assert said["held_against"] == repr(honest.rstrip())
    status, output = copied.verify()
    assert status == 1
    assert (
        "numbers: 5 recounted, 0 incomplete, 1 broken; the pages: broken" in output
    )  # dvc.lock has a hash of the folder


def test_a_table_cell_in_a_csv_file(copied: Copied) -> None:
    path = "reports/quick/tables/table_2.csv"
    copied.replace(path, f",{copied.percent():.1f},", ",99.9,")
    said = copied.broken(*ROW).at(f"{path}, {ROW[1]}, mean")
    assert (said["found"], said["held_against"]) == ("'99.9'", f"'{copied.percent():.1f}'")
    assert copied.broken(*ROW).at("reports/quick/tables", TABLES)


def test_a_ledger_row(copied: Copied) -> None:
    honest = json.loads((copied.folder / RESULT).read_text())["run"]["sha256"]["weights.safetensors"]
    for file, where in (
        ("ledger.csv", f"{', '.join(ROW)}, seed 0, training_weights_sha256"),
        ("ledger.json", f"{', '.join(ROW)}, seeds.0.training.weights_sha256"),
    ):
        copied.replace(f"reports/quick/{file}", honest, "f" * 64)
        said = copied.broken(*ROW).at(f"reports/quick/{file}, {where}")
        assert (said["found"], said["held_against"]) == (repr("f" * 64), repr(honest))
        assert copied.broken(*ROW).at(f"reports/quick/{file}", TABLES)
    assert "numbers: 5 recounted, 0 incomplete, 1 broken" in copied.verify()[1]


def test_a_metrics_file(copied: Copied) -> None:
    honest = json.loads((copied.folder / RESULT).read_text())
    copied.edit(RESULT, lambda result: result.update(accuracy=0.999, correct=99))
    broken = copied.broken(*ROW)
    assert broken.at(f"{RESULT}, accuracy")["found"] == "0.999"
    assert broken.at(f"{RESULT}, accuracy")["held_against"].startswith(str(honest["accuracy"]))
    assert broken.at(f"{RESULT}, correct")["found"] == "99"
    assert broken.at(RESULT, EVALUATE)


def test_a_metrics_file_forged_throughout(copied: Copied) -> None:
    """Predictions, report, matrix and accuracy agree with each other: the logits and dvc.lock do not."""

    def forge(result: Any) -> None:
        wrong = next(n for n, label in enumerate(result["labels"]) if label != result["predictions"][n])
        result["predictions"] = (
            result["predictions"][:wrong] + result["labels"][wrong] + result["predictions"][wrong + 1 :]
        )
        result.update(score(classes_of(result["labels"]), classes_of(result["predictions"]), result["classes"], 100))
        rebind(result)

    copied.edit(RESULT, forge)
    broken = copied.broken(*ROW)
    assert broken.at(f"{RESULT}, predictions", LOGITS)
    assert broken.at(RESULT, EVALUATE)
    shutil.rmtree(copied.folder / PREDICTIONS)  # a clone without data still has the logits, and dvc.lock
    broken = copied.broken(*ROW)
    assert broken.at(f"{RESULT}, predictions", LOGITS)
    assert broken.at(RESULT, EVALUATE)


def test_results_that_contradict_each_other(copied: Copied) -> None:
    """Of one result a label is another, and all that is counted from it: the pages cannot be made of both."""

    def forge(result: Any) -> None:
        result["labels"] = str((int(result["labels"][0]) + 1) % 10) + result["labels"][1:]
        result.update(score(classes_of(result["labels"]), classes_of(result["predictions"]), result["classes"], 100))
        rebind(result)

    copied.edit(RESULT, forge)
    broken = copied.broken(*ROW)
    assert broken.at(f"{RESULT}, labels", PREDICTIONS)
    assert broken.at(f"{RESULT}, labels", "sha256, labels.npy")
    assert "labels of other test images than those of" in broken.at(TABLES)["found"]


def test_the_book(copied: Copied) -> None:
    path, cell = "reports/quick/index.html", CELL.rpartition("/")[2]
    before, section, page = (copied.folder / path).read_text().partition(f'id="/{ROW[0]}/{cell}"')
    honest = json.loads((copied.folder / RESULT).read_text())["run"]["sha256"]["weights.safetensors"]
    assert honest in page
    copied.write(path, before + section + page.replace(honest, "f" * 64, 1))
    line = (before + section + page.partition(honest)[0]).count("\n") + 1
    said = copied.broken(*ROW).at(f"{path}, line {line}")
    assert "f" * 64 in said["found"]
    assert honest in said["held_against"]
    status, output = copied.verify()
    assert status == 1
    assert "numbers: 5 recounted, 0 incomplete, 1 broken; the pages: broken" in output


def test_a_logit(copied: Copied) -> None:
    copied.flip(LOGITS)
    broken = copied.broken(*ROW)
    expected = json.loads((copied.folder / RESULT).read_text())["sha256"]["logits.npy"]
    said = broken.at(LOGITS, f"{expected} ({RESULT}, sha256.logits.npy)")
    assert said["found"].startswith("sha256 ")
    assert broken.at(LOGITS, EVALUATE)


def test_a_label(copied: Copied) -> None:
    copied.flip(f"{PREDICTIONS}/labels.npy")
    broken = copied.broken(*ROW)
    expected = json.loads((copied.folder / RESULT).read_text())["sha256"]["labels.npy"]
    assert broken.at(f"{PREDICTIONS}/labels.npy", f"{expected} ({RESULT}, sha256.labels.npy)")
    assert broken.at(PREDICTIONS, EVALUATE)


@pytest.mark.parametrize("name", ["weights.safetensors", "history.json"])
def test_a_weight_file(copied: Copied, name: str) -> None:
    copied.flip(f"{RUN}/{name}")
    said = copied.broken(*ROW).at(f"{RUN}/{name}", "sha256")
    record = json.loads((copied.folder / RUN / "run.json").read_text())
    found = hashlib.sha256((copied.folder / RUN / name).read_bytes()).hexdigest()
    undecided = "; no majority tells which" if name == "weights.safetensors" else ""  # the history is in the result too
    assert (said["found"], said["held_against"]) == (
        f"sha256 {found}",
        f"{record['sha256'][name]} ({RESULT}, run.sha256.{name}){undecided}",
    )


def test_a_run_record(copied: Copied) -> None:
    copied.edit(f"{RUN}/run.json", lambda record: record["numerics"].update(threads=2))
    said = copied.broken(*ROW).at(f"{RUN}/run.json")
    taken = json.loads((copied.folder / RESULT).read_text())["provenance"]["inputs"][RUN]["files"]["run.json"]
    assert said["found"] == hash_dependency(copied.folder / RUN / "run.json").md5
    assert said["held_against"] == f"{taken} ({RESULT}, provenance.inputs.{RUN}.files.run.json)"


def test_a_run_record_inside_a_result(copied: Copied) -> None:
    copied.edit(RESULT, lambda result: result["run"]["provenance"]["environment"].update(processor="another"))
    shutil.rmtree(copied.folder / RUN)  # as on a clone without data
    broken = copied.broken(*ROW)
    assert broken.at(f"{RESULT}, run", "run.json")
    assert broken.at(RESULT, EVALUATE)


@pytest.mark.parametrize(
    ("stage", "kind", "path"),
    [
        ("download@mnist", "outs", "data/raw/mnist"),
        ("preprocess@quick-mnist", "deps", "stages/preprocess"),
        ("preprocess@quick-mnist", "outs", "data/processed/quick/mnist/test"),
        (TRAIN, "deps", "data/processed/quick/mnist/train"),
        ("resolve@quick", "outs", "reports/quick/specs"),
        (TRAIN, "outs", RUN),
        (EVALUATE, "deps", RUN),
        (EVALUATE, "outs", RESULT),
        (EVALUATE, "outs", LOGITS),
        (EVALUATE, "outs", PREDICTIONS),
        (TABLES, "outs", "reports/quick/tables"),
        (TABLES, "deps", "reports/quick/cells"),
    ],
)
def test_dvc_lock(copied: Copied, stage: str, kind: str, path: str) -> None:
    false = "0" * 32 + (".dir" if (copied.folder / path).is_dir() else "")
    copied.edit_lock(lambda lock: entry(lock, stage, kind, path).update(md5=false))
    broken = copied.broken(*ROW)
    named = [
        said for said in broken.findings if stage in said["where"] + said["held_against"] and path in said["where"]
    ]
    assert named
    assert all(false in said["found"] + said["held_against"] for said in named)


def test_a_command_and_a_parameter_in_dvc_lock(copied: Copied) -> None:
    def change(lock: Any) -> None:
        lock[TRAIN]["cmd"] += " --no-mlflow"
        lock[TRAIN]["params"][SPEC]["settings"]["cell"]["lr"] = 0.5
        lock[TRAIN]["params"][SPEC]["code.train"] = "0" * 64

    copied.edit_lock(change)
    broken = copied.broken(*ROW)
    assert broken.at(f"dvc.lock, {TRAIN}, cmd")["found"].endswith("--no-mlflow")
    said = broken.at(f"dvc.lock, {TRAIN}, params, settings, cell.lr")
    assert (said["found"], said["held_against"].split()[0]) == ("0.5", "0.001")
    assert broken.at(f"dvc.lock, {TRAIN}.params.{SPEC}.code.train")["found"] == "0" * 64


def test_an_entry_that_is_gone_from_dvc_lock(copied: Copied) -> None:
    copied.edit_lock(lambda lock: lock.pop(TRAIN))
    assert copied.broken(*ROW).at(f"dvc.lock, {TRAIN}")["found"] == "no entry"


def test_a_parameter_after_the_fact(copied: Copied) -> None:
    copied.edit_params(lambda params: params["cells"]["mnist"]["resnet18-sgd"].update(lr=0.002))
    said = copied.broken(*ROW).at(f"today's spec of {CELL}, settings, cell.lr")
    assert (said["found"], said["held_against"].split()[0], said["outdated"]) == ("0.002", "0.001", True)
    status, output = copied.verify()
    assert status == 1
    assert "numbers: 5 recounted, 0 incomplete, 1 broken" in output
    (line,) = (line for line in output.splitlines() if line.startswith("broken") and ROW[1] in line)
    assert line.endswith("(outdated)")


ENGINE = "stages/engine/loop.py"


def test_a_source_after_the_fact(copied: Copied) -> None:
    copied.write(ENGINE, (copied.folder / ENGINE).read_text() + "\nEDITED = 1\n")
    said = copied.broken(*ROW).at(ENGINE, f"{RESULT}, run was run")
    code = json.loads((copied.folder / RESULT).read_text())["run"]["provenance"]["code"]["modules"]
    assert said["held_against"].split()[0] == code[ENGINE] != said["found"]
    assert said["outdated"]
    assert "(outdated)" in copied.verify(*ROW)[1]


def test_a_comment_after_the_fact_is_a_note(copied: Copied) -> None:
    copied.write(ENGINE, (copied.folder / ENGINE).read_text() + "\n# another comment\n")
    status, output = copied.verify(*ROW)
    assert status == 0, output
    assert f"{ENGINE} has changed since numbers were made with it, in nothing that makes a number" in output


def test_a_source_file_during_training(copied: Copied) -> None:
    """The stage refuses that itself (test_pipeline); here DVC is made to record what was edited meanwhile."""
    copied.write(ENGINE, (copied.folder / ENGINE).read_text() + "\nEDITED = 1\n")
    for path in ("dvc.lock", ".gitignore"):  # DVC writes these in place
        copied.write(path, (copied.folder / path).read_bytes())
    copied.write(SPEC, (copied.folder / SPEC).read_bytes())
    copied.run("python", "-m", "stages.resolve", "--budget", "quick", "--out", "reports/quick/specs")
    copied.run("dvc", "commit", "-f", TRAIN)
    said = copied.broken(*ROW).at(f"dvc.lock, {TRAIN}.params.{SPEC}.code.train")
    assert f"({RESULT}, run.provenance.code.sha256)" in said["held_against"]


def test_a_record_of_sources_that_the_commit_does_not_have(copied: Copied) -> None:
    """Committed under the hashes of other code: files and record agree, the commit does not."""
    seeding = "stages/engine/seeding.py"
    copied.write(seeding, (copied.folder / seeding).read_text() + "\n# else\n")
    found = hash_dependency(copied.folder / seeding).md5

    def forge(result: Any) -> None:
        for taken in (result["run"]["provenance"], result["provenance"]):
            taken["sources"][seeding] = found

    copied.edit(RESULT, forge)
    broken = copied.broken(*ROW)
    commit = json.loads((copied.folder / RESULT).read_text())["run"]["provenance"]["git"]["commit"]
    assert broken.at(f"{RESULT}, run.provenance.sources, {seeding}", f"commit {commit[:12]}")


def test_raw_data_and_arrays(copied: Copied) -> None:
    copied.flip("data/raw/mnist/train-images-idx3-ubyte")
    copied.flip("data/processed/quick/mnist/train/train_labels.npy")
    copied.flip("data/processed/quick/mnist/test/labels.npy")
    broken = copied.broken(*ROW)
    for file in ("raw/mnist/train-images-idx3-ubyte", "processed/quick/mnist/train/train_labels.npy"):
        md5 = hash_dependency(copied.folder / "data" / file).md5
        assert md5 in [said["found"] for said in broken.findings if said["where"] == f"data/{file}"]
    for array in ("train/train_labels.npy", "test/labels.npy"):
        assert broken.at(f"data/processed/quick/mnist/{array}", "run.data.sha256")
    assert broken.at("data/raw/mnist", "download@mnist")


# Again


def put_other_weights(copied: Copied) -> None:
    """Take another cell's weights for this one's, and rewrite every hash of them, dvc.lock's and the pages' too."""
    weights = f"{RUN}/weights.safetensors"
    copied.write(weights, (copied.folder / "data/runs/quick/mnist/resnet18/s0/weights.safetensors").read_bytes())
    sha256 = hashlib.sha256((copied.folder / weights).read_bytes()).hexdigest()

    def forge_run(record: Any) -> None:
        record["sha256"]["weights.safetensors"] = sha256
        record["binding"] = LooseRun.model_validate(record).expected_binding()
        record["checksum"] = LooseRun.model_validate(record).expected_checksum()

    copied.edit(f"{RUN}/run.json", forge_run)
    run = hash_dependency(copied.folder / RUN)

    def forge(result: Any) -> None:
        forge_run(result["run"])
        result["provenance"]["inputs"][RUN] = run.model_dump(mode="json")
        rebind(result)

    copied.edit(RESULT, forge)
    settle(copied)


def settle(copied: Copied) -> None:
    """Make pages and ledger of the results that are here, and dvc.lock of all files that are here."""
    stages = YAML(typ="safe").load((copied.folder / "dvc.lock").read_text())["stages"]
    copied.run(*shlex.split(stages[TABLES]["cmd"]))

    def forge(lock: Any) -> None:
        for stage, kind in ((TRAIN, "outs"), (EVALUATE, "outs"), (TABLES, "deps"), (TABLES, "outs")):
            for item in lock[stage][kind]:
                item["md5"] = hash_dependency(copied.folder / item["path"]).md5
        entry(lock, EVALUATE, "deps", RUN).update(md5=entry(lock, TRAIN, "outs", RUN)["md5"])

    copied.edit_lock(forge)


def put_other_logits(copied: Copied, wished: Callable[[Any, Any], Any], device: str) -> None:
    """Take other logits than those of the weights, and rewrite all that is counted of them, and every hash.

    The result then says that it was predicted on that device.
    """
    logits = np.load(copied.folder / LOGITS)
    labels = classes_of(json.loads((copied.folder / RESULT).read_text())["labels"])
    logits = wished(logits.copy(), labels)
    content = BytesIO()
    np.save(content, logits, allow_pickle=False)
    copied.write(LOGITS, content.getvalue())
    places = chosen_indices(10000, len(labels))
    images = np.load(copied.folder / "data/processed/quick/mnist/test/images.npy")[places]
    shifted = logits.astype(np.float64) - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(labels)), labels]

    def forge(result: Any) -> None:
        result.update(score(labels, logits.argmax(1).astype(np.uint8), result["classes"], len(labels)))
        result["predictions"] = digits(logits.argmax(1))
        result["most_confused"] = most_confused(images, labels, logits, places)
        result["loss"] = float(losses.mean()) if np.isfinite(losses).all() else None
        result["sha256"]["logits.npy"] = hashlib.sha256(content.getvalue()).hexdigest()
        result["numerics"]["device"] = device
        rebind(result)
        copied.write(f"{PREDICTIONS}/report.txt", report_text(result["report"], result["classes"]))

    copied.edit(RESULT, forge)
    settle(copied)


def label_wins(logits: Any, labels: Any) -> Any:
    """Every image is named rightly."""
    logits[np.arange(len(labels)), labels] = logits.max(1) + 0.5
    return logits


def label_is_no_number(logits: Any, labels: Any) -> Any:
    """Two more images are named rightly, within the tolerance for other processors: `argmax` takes a NaN."""
    wrong = np.flatnonzero(logits.argmax(1) != labels)[:2]
    logits[wrong, labels[wrong]] = np.nan
    return logits


@pytest.mark.parametrize(
    ("wished", "device"),
    [
        (label_wins, "cpu"),
        pytest.param(label_wins, "cuda: NVIDIA H200", marks=pytest.mark.slow),
        pytest.param(label_is_no_number, "mps", marks=pytest.mark.slow),
    ],
)
def test_logits_that_are_not_those_of_the_weights(copied: Copied, wished: Any, device: str) -> None:
    """Predictions, metrics, pages, ledger, attempts and every hash agree with them: only the weights tell."""
    honest = copied.percent()
    put_other_logits(copied, wished, device)
    assert copied.percent() >= honest + 2
    status, output = copied.verify(*ROW)
    assert status == 0, output
    assert "\nrecounted " in output
    done = copied.attempt("python", "-m", "stages.audit", "verify", *ROW, "--weights", "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    (number,) = json.loads(done.stdout)["numbers"]
    assert (number["status"], number["level"], number["percent"]) == ("broken", None, copied.percent())
    broken = Broken([finding for finding in number["findings"] if finding["kind"] == "broken"])
    assert broken.at(f"{ROW[0]}, {ROW[1]}, seed 0, predicted again, logits")


def test_predicting_again_gives_the_same_bytes(copied: Copied) -> None:
    done = copied.attempt("python", "-m", "stages.audit", "verify", *ROW, "--weights")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "predicted again: the same logits, byte for byte" in done.stdout
    assert done.stdout.startswith("quick: 1 of 1 numbers predicted (")


@pytest.mark.slow
def test_predicting_again_finds_other_weights(copied: Copied) -> None:
    """Where every hash was rewritten, no attempt has such an outcome, and what the network says is another thing."""
    put_other_weights(copied)
    status, output = copied.verify()
    assert status == 3, output
    assert f"attempts.jsonl, the training of {CELL}, seed 0, run.binding " in output
    done = copied.attempt("python", "-m", "stages.audit", "verify", *ROW, "--weights")
    assert done.returncode == 1
    assert "predicted again, logits: found sha256" in done.stdout


@pytest.mark.slow
def test_arrays_made_again_of_the_raw_data_are_the_same_and_a_raw_byte_is_found(copied: Copied) -> None:
    """A raw byte that is changed, with all hashes of it, is still not the canonical."""
    status, output = copied.verify(*ROW, "--data")
    assert status == 0, output
    assert "\nrecounted, derived  II, ResNet18 with SGD" in output
    copied.flip("data/raw/mnist/train-images-idx3-ubyte")
    said = copied.broken(*ROW, "--data").at("data/raw/mnist/train-images-idx3-ubyte", "the canonical bytes")
    assert said["found"].startswith("sha256 ")


@pytest.mark.slow
def test_training_again_gives_the_same_bytes(copied: Copied) -> None:
    before = {path: path.stat().st_mtime_ns for path in (copied.folder / "data").rglob("*")}
    done = copied.attempt("python", "-m", "stages.audit", "verify", "--retrain", CELL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trained again: the same weights and history, byte for byte" in done.stdout
    assert "trained again: the same logits, byte for byte" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (copied.folder / "data").rglob("*")} == before


def test_training_again_with_other_code_is_refused(copied: Copied) -> None:
    copied.write(ENGINE, (copied.folder / ENGINE).read_text() + "\nEDITED = 1\n")
    done = copied.attempt("python", "-m", "stages.audit", "verify", "--retrain", CELL)
    assert done.returncode == 1
    assert f"Error: --retrain {CELL}: {ENGINE} not as it was trained with" in done.stderr


def test_what_is_not_there_is_refused_in_one_line(copied: Copied) -> None:
    status, output = copied.verify("VII")
    assert status == 1
    assert output.startswith("Error: TABLE or CELL: 'VII' is not allowed; allowed: one of (did you mean ")
    assert "?): I, II, " in output
    status, output = copied.verify("II", "ResNet34")
    rows = "(did you mean ResNet18?): ResNet18; ResNet18 with SGD"
    assert (status, output) == (1, f"Error: ROW of II: 'ResNet34' is not allowed; allowed: one of {rows}\n")
