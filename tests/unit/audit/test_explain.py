"""What `explain` finds by which words, and what it says: of a whole chain, and of one that is not."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stages.core.files import digest

ROOT = Path(__file__).parents[3]
IV = ("IV", "VGG16 with ADAM")
SPEC = "reports/quick/specs/cifar10/vgg16-adam.json"


# By which words


@pytest.mark.parametrize(
    "words",
    [
        ("IV", "VGG16 with ADAM"),
        ("iv", "vgg16 with adam"),
        ("4", "VGG16", "with", "ADAM"),
        ("IV", "vgg16-adam"),
        ("cifar10/vgg16-adam",),
        ("CIFAR10/VGG16-Adam",),
        ("82.3",),
        ("82.30%",),
    ],
)
def test_words_that_name_one_number(audited: Any, words: tuple[str, ...]) -> None:
    number = audited.answer(*words)["number"]
    assert (number["table"], number["row"], number["cell"]) == (*IV, "cifar10/vgg16-adam")


def test_our_value_as_the_table_prints_it_names_its_number(audited: Any) -> None:
    ours = audited.answer(*IV)["number"]["ours"]
    listed = audited.answer(ours)
    found = listed["numbers"] if "numbers" in listed else [listed["number"]]
    assert IV in [(one["table"], one["row"]) for one in found]


def test_a_value_printed_several_times_lists_the_command_for_each(audited: Any) -> None:
    done = audited.explain("99.1")
    lines = done.output.splitlines()
    assert done.exit_code == 0
    assert lines[0].startswith("99.1 is printed 4 times")
    assert '  python -m stages.audit explain VI "GoogLeNet with data augmentation"    (cifar10/' in done.output
    assert all(line.endswith(": paper") for line in lines[1:])
    assert [one["printed"] for one in audited.answer("99.1")["numbers"]] == [["paper"]] * 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("vgg16-adam",), '(mnist/vgg16-adam)\n  python -m stages.audit explain IV "VGG16 with ADAM"'),
        (("ResNet18 with Adam",), "names 2 numbers; ask for one of them"),
        (("vgg16-adm",), "did you mean vgg16-adam"),
        (
            ("V", "ResNet18 with Adams"),
            "ROW of V: 'ResNet18 with Adams' is not allowed; allowed: one of (did you mean ResNet",
        ),
        (("V", "ResNet18 with Adams"), "did you mean ResNet18 with Adam"),
        (
            ("VII", "VGG16"),
            "TABLE or CELL: 'VII' is not allowed; allowed: one of (did you mean VI or II or III?): I, II, III, IV",
        ),
        (("resnet18-sgd", "ResNet18 with SGD"), "'resnet18-sgd ResNet18 with SGD' names 2 numbers; ask for one of"),
        (("12.345",), "value: '12.345' is not allowed; allowed: a number as the tables of budget quick print it, "),
        ((*IV, "--seed", "7"), "--seed: 7 is not allowed; allowed: one of the seeds of params.yaml: 0"),
        ((*IV, "--budget", "free"), "budget: 'free' is not allowed; allowed: one of quick, paper"),
        ((*IV, "--budget", "paper"), "reports/paper/cells/cifar10/vgg16-adam-s0.json is missing; it is made by: dvc"),
    ],
)
def test_words_that_name_none_or_several_are_answered_with_what_there_is(
    audited: Any, words: tuple[str, ...], said: str
) -> None:
    done = audited.explain(*words)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert said in done.output


# What it says


def test_the_level_that_the_committed_files_give_is_said(audited: Any) -> None:
    said = "    recounted: counted again from committed predictions and the true test labels (verify goes further)"
    assert said in audited.explain("mnist/vgg16").output.splitlines()
    assert audited.answer("mnist/vgg16")["number"]["seeds"]["0"]["level"] == "recounted"
    (audited.folder / "data/labels/mnist.npy").unlink()
    assert audited.answer("mnist/vgg16")["number"]["seeds"]["0"]["level"] == "consistent"


def test_configuration_names_what_differs_from_the_first_row(audited: Any) -> None:
    found = audited.answer(*IV)
    assert found["configuration"]["plain"] == "cifar10/vgg16"
    assert found["configuration"]["differs"] == {
        "cell.alpha": {"value": None, "plain": 0.99},
        "cell.beta1": {"value": 0.9, "plain": None},
        "cell.beta2": {"value": 0.999, "plain": None},
        "cell.optimizer": {"value": "adam", "plain": "rmsprop"},
    }
    assert found["configuration"]["settings"]["cell.lr"] == 0.001
    assert found["conditions"]["overrides"]["hidden_layers"] == {"value": [], "instead_of": [4096, 4096]}
    assert found["conditions"]["as_paper"] is False
    text = audited.explain(*IV).output
    assert "* cell.optimizer" in text
    assert "the budget sets hidden_layers [] instead of [4096, 4096]" in text


@pytest.mark.parametrize(
    ("cell", "ids"),
    [
        ("cifar10/vgg16", "A1 A3 A4 A5 A7 A9 A13 A14 A15 A16"),
        ("cifar10/vgg16-adam", "A2 A3 A4 A5 A7 A9 A13 A14 A15 A16"),
        ("cifar10/vgg16-augmented", "A1 A3 A4 A5 A6 A7 A9 A13 A14 A15 A16"),
        ("mnist/resnet18-momentum", "A2 A3 A5 A7 A8 A10 A13 A14 A15 A16"),
        ("mnist/googlenet-adam-augmented", "A2 A3 A5 A6 A7 A8 A11 A12 A13 A14 A15 A16"),
        ("cifar10/resnet18-lr1e-2-sgd", "A1 A3 A5 A7 A10 A13 A14 A15 A16"),
    ],
)
def test_assumptions_are_those_that_apply(audited: Any, cell: str, ids: str) -> None:
    assert [one["id"] for one in audited.answer(cell)["assumptions"]] == ids.split()


def test_an_assumption_follows_params_yaml_and_no_code(audited: Any) -> None:
    audited.edit(lambda raw: raw["assumptions"][0]["applies"].update(families=["resnet"], row_omits=[]))
    assert "A1" not in [one["id"] for one in audited.answer("cifar10/vgg16")["assumptions"]]
    assert "A1" in [one["id"] for one in audited.answer("cifar10/resnet18-adam")["assumptions"]]


def test_a_study_and_the_budget_say_what_they_do_with_an_assumption(audited: Any) -> None:
    found = {one["id"]: one for one in audited.answer("cifar10/resnet18-lr1e-2-sgd")["assumptions"]}
    assert found["A1"]["tried_otherwise"] == ["alpha", "eps", "momentum", "optimizer"]
    assert found["A10"]["tried_otherwise"] == []
    head = {one["id"]: one for one in audited.answer("cifar10/vgg16")["assumptions"]}["A9"]
    assert head["settings"] == {"hidden_layers": [], "dropout": 0.5}
    assert head["replaced_by_budget"] == ["hidden_layers"]
    assert head["studies"] == ["vgg16-head"]


def test_the_spec_and_what_is_behind_its_fingerprint(audited: Any) -> None:
    found, run = audited.answer(*IV)["spec"], audited.read("cifar10/vgg16-adam")["run"]
    assert found["path"] == "reports/quick/specs/cifar10/vgg16-adam.json"
    assert (found["md5"], found["here"]) == (run["provenance"]["spec"]["md5"], True)
    assert found["fingerprint"]["train"] == run["provenance"]["code"]["sha256"]
    assert "in no commit here" in audited.explain(*IV).output
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert audited.answer(*IV)["spec"]["last_commit"] == head
    assert f"Spec: {found['path']} (md5 {found['md5'][:12]}), last changed in commit {head[:12]}" in (
        audited.explain(*IV).output
    )


LOGGED = ("V", "ResNet18 with lr=0.01, as logged")


def with_as_logged(raw: dict[str, Any]) -> None:
    """The row's printed logs suggest SGD."""
    (row,) = (row for row in raw["tables"]["V"]["rows"] if row["row"] == "ResNet18 with lr=0.01")
    row["as_logged"] = "resnet18-lr1e-2-sgd"


def test_a_row_whose_logs_suggest_another_setting_has_two_numbers(audited: Any) -> None:
    audited.edit(with_as_logged)
    text, logged = audited.answer("V", "ResNet18 with lr=0.01"), audited.answer(*LOGGED)
    assert (text["as_logged"]["this"], logged["as_logged"]["this"]) == ("text", "logged")
    for found in (text, logged):
        assert found["as_logged"]["text"] == {
            "cell": "cifar10/resnet18-lr1e-2",
            "ours": text["number"]["ours"],
            "outcome": "finished",
        }
        assert found["as_logged"]["logged"]["ours"] == logged["number"]["ours"]
        assert found["as_logged"]["differs"]["optimizer"] == {"text": "rmsprop", "logged": "sgd"}
    assert text["number"]["paper"] == logged["number"]["paper"]
    assert "optimizer" in {one["id"]: one["tried_otherwise"] for one in logged["assumptions"]}["A1"]
    audited.remove("cifar10/resnet18-lr1e-2-sgd")
    said = audited.explain("V", "ResNet18 with lr=0.01").output
    assert "as its logs or numbers suggest (" in said
    assert ": not run  (cifar10/resnet18-lr1e-2-sgd)" in said
    assert "(cifar10/resnet18-lr1e-2)  <- this number" in said
    audited.edit(lambda raw: raw["study_cells"].update(cifar10=[]))
    said = audited.explain("V", "ResNet18 with lr=0.01").output
    assert ": not planned  (cifar10/resnet18-lr1e-2-sgd)" in said
    assert audited.answer("IV", "VGG16 with SGD")["as_logged"] is None


def test_a_training_that_went_on_elsewhere_says_which_epochs_ran_where(audited: Any) -> None:
    run = audited.read("cifar10/vgg16-adam")["run"]
    machines = [run["machines"][0], run["machines"][0] | {"processor": "Another processor"}]
    epochs = run["times"]["epochs"]
    epochs[1]["machine"] = 1
    audited.change("cifar10/vgg16-adam", run__machines=machines, run__times__epochs=epochs)
    assert [(one["epochs"], one["processor"]) for one in audited.answer(*IV)["machines"]] == [
        ([1], "A processor"),
        ([2], "Another processor"),
    ]
    assert "  epochs 2: Another processor; Linux" in audited.explain(*IV).output
    assert audited.answer("cifar10/vgg16")["machines"] == []


def test_the_chain_goes_from_the_raw_data_to_the_number(audited: Any) -> None:
    found = audited.answer(*IV)
    result = audited.read("cifar10/vgg16-adam")
    links = {(link["step"], link["name"], link["algorithm"]): link for link in found["chain"]}
    assert list(dict.fromkeys(link["step"] for link in found["chain"]))[:7] == [
        "raw data",
        "arrays",
        "training",
        "weights",
        "evaluation",
        "predictions",
        "number",
    ]
    assert all(link["hash"] for link in found["chain"][:-1])
    assert links["weights", "weights", "sha256"]["hash"] == result["run"]["sha256"]["weights.safetensors"]
    logits = links["predictions", "logits", "sha256"]
    assert (logits["path"], logits["here"]) == ("reports/quick/cells/cifar10/vgg16-adam-s0.npy", True)
    assert links["predictions", "labels", "sha256"]["path"] == "data/predictions/quick/cifar10/vgg16-adam-s0/labels.npy"
    spec = "reports/quick/specs/cifar10/vgg16-adam.json"
    assert links["training", "spec", "md5"]["path"] == spec
    code = links["training", "code", "sha256"]["recorded"]
    assert code[-1]["key"] == f"train-cifar10@quick-vgg16-adam-0.params.{spec}.code.train"
    assert {record["hash"] for record in code} == {result["run"]["provenance"]["code"]["sha256"]}
    assert len({record["hash"] for record in links["training", "settings", "sha256"]["recorded"]}) == 1
    raw = links["raw data", "raw data", "md5"]
    assert (raw["path"], raw["here"], len(raw["recorded"])) == ("data/raw/cifar10", False, 3)
    assert {record["hash"] for record in raw["recorded"]} == {raw["hash"]}


def test_commands_machine_and_mirror(audited: Any) -> None:
    found = audited.answer(*IV)
    run = audited.read("cifar10/vgg16-adam")["run"]
    assert found["reproduce"]["checkout"] == f"git checkout {run['provenance']['git']['commit']}"
    assert found["reproduce"]["dvc"] == "dvc repro evaluate-cifar10@quick-vgg16-adam-0"
    assert found["reproduce"]["tables"] == "dvc repro --single-item aggregate-tables@quick"
    assert found["mlflow"] == {**run["mlflow"], "run": "VGG16 with ADAM"}
    assert found["machine"]["training"]["packages"]["torch"] == "2.14.1"
    text = audited.explain(*IV).output
    for part in ("To make this number again", "A processor", "1 thread of 2 cores", run["mlflow"]["run_id"]):
        assert part in text


def test_a_whole_chain_has_no_note_but_that_its_commit_is_elsewhere(audited: Any) -> None:
    notes = [note for note in audited.answer(*IV)["notes"] if "aggregate-tables" not in note]
    assert len(notes) == 2
    assert all("is not in this clone" in note for note in notes)


def test_a_shallow_clone_says_how_to_get_the_rest(audited: Any) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=audited.folder, check=True)
    said = "this clone is shallow: commits are missing"
    assert said not in audited.explain(*IV).output
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=audited.folder, capture_output=True, check=True).stdout
    (audited.folder / ".git" / "shallow").write_bytes(head)
    assert said in audited.explain(*IV).output
    assert "git fetch --unshallow brings them" in audited.answer(*IV)["notes"][-1]


@pytest.mark.parametrize(
    ("run_by", "dvc", "said"),
    [
        ("dvc", "3.67.1", "run as a stage of DVC"),
        ("dvc", None, "run by a worker of a launch, on a machine without DVC"),
        ("hand", None, "run by hand"),
    ],
)
def test_who_ran_it_is_said_plainly(audited: Any, run_by: str, dvc: str | None, said: str) -> None:
    audited.change(
        "cifar10/vgg16-adam",
        run__provenance__run_by=run_by,
        run__provenance__environment__packages__dvc=dvc,
    )
    (line,) = [line for line in audited.explain(*IV).output.splitlines() if "    Python " in line][:1]
    assert said in line.partition("; ")[2]


DIRTY = {"commit": "a" * 40, "dirty": True, "changed": ["stages/x.py"], "difference": "x"}
MODULES = {"stages/engine/training.py": "1" * 64}
CODE: dict[str, Any] = {"scheme": 1, "sha256": digest({"scheme": 1, "modules": MODULES}), "modules": MODULES}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {
                "run__provenance__git": {
                    "commit": "a" * 40,
                    "dirty": True,
                    "changed": ["stages/x.py"],
                    "difference": "x",
                }
            },
            "uncommitted changes in stages/x.py: the commit is not all of it; the record holds the difference",
        ),
        ({"run__provenance__run_by": "hand"}, "trained by hand, not by DVC"),
        ({"run__config__cell__lr": 0.5}, "trained with cell.lr 0.5; params.yaml says now cell.lr 0.001"),
        (
            {"run__config__cell__lr": 0.5},
            f"dvc.lock: train-cifar10@quick-vgg16-adam-0.params.{SPEC}.settings has",
        ),
        (
            {"run__provenance__code": CODE},
            f"trained by code of the fingerprint {CODE['sha256'][:12]}; {SPEC} has",
        ),
        (
            {"run__provenance__code": CODE},
            f"adam-0.params.{SPEC}.code.train has",
        ),
        ({"run__numerics__threads": 3}, "run data/runs/quick/cifar10/vgg16-adam/s0: dvc.lock: train-cifar10@quick-"),
        ({"loss": 1.5}, "reports/quick/cells/cifar10/vgg16-adam-s0.json has md5 "),
    ],
)
def test_what_does_not_hold_together_is_noted(audited: Any, changes: dict[str, Any], said: str) -> None:
    audited.change("cifar10/vgg16-adam", **changes)
    notes = audited.answer(*IV)["notes"]
    assert any(said in note for note in notes), notes
    assert "  ! " in audited.explain(*IV).output


PATCH = """diff --git a/stages/engine/loop.py b/stages/engine/loop.py
index 1111111..2222222 100644
--- a/stages/engine/loop.py
+++ b/stages/engine/loop.py
@@ -1 +1,2 @@
-a
+b
+c
diff --git a/stages/engine/new one.py b/stages/engine/new one.py
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/stages/engine/new one.py
@@ -0,0 +1 @@
+whole
"""


def test_what_was_not_committed_is_listed_and_printed_as_a_patch(audited: Any) -> None:
    files = ["stages/engine/loop.py", "stages/engine/new one.py"]
    state = {"commit": "a" * 40, "dirty": True, "changed": files, "difference": PATCH}
    audited.change("cifar10/vgg16-adam", run__provenance__git=state)
    found = audited.answer(*IV)
    told = [
        [one[name] for name in ("path", "what", "added", "removed")] for one in found["code"]["training"]["changes"]
    ]
    assert told == [[files[0], "edited", 2, 1], [files[1], "new", 1, 0]]
    printed = audited.explain(*IV).output
    assert f"    not committed: {files[1]}, new, +1 -0 lines" in printed
    assert found["reproduce"]["difference"] in printed
    assert "  git apply uncommitted.patch\n" in printed
    assert audited.explain(*IV, "--difference", "training").output == PATCH
    refused = audited.explain(*IV, "--difference", "evaluation")
    assert (refused.exit_code, refused.output.count("\n")) == (1, 1)
    assert "all sources were committed when the evaluation ran" in refused.output


def test_what_dvc_never_recorded_is_noted_and_not_guessed(audited: Any) -> None:
    lock = audited.folder / "dvc.lock"
    text = lock.read_text()
    start = text.index("  train-cifar10@quick-vgg16-adam-0:")
    end = text.index("\n  train-", start) if "\n  train-" in text[start:] else text.index("\n  evaluate-", start)
    lock.write_text(text[:start] + text[end + 1 :])
    found = audited.answer(*IV)
    deps = "train-cifar10@quick-vgg16-adam-0.deps.data/processed/quick/cifar10/train"
    assert any(f"{deps} has no hash" in note for note in found["notes"])


def test_the_results_that_are_there_are_explained(audited: Any) -> None:
    """Of three planned seeds the middle one has run; a cell without any has nothing to explain."""
    audited.edit(lambda raw: raw.update(seeds=[0, 3, 5]))
    audited.put(audited.params.find("cifar10/vgg16-adam")[0], 3, "quick")
    audited.remove("cifar10/vgg16-adam")
    audited.settle()
    found = audited.answer(*IV)["number"]
    assert (found["n"], found["planned"], list(found["seeds"])) == (1, 3, ["3"])
    assert "n = 1 of 3" in audited.explain(*IV).output
    audited.remove("cifar10/vgg16-adam", seed=3)
    done = audited.explain(*IV)
    assert done.exit_code == 1
    assert "vgg16-adam-s0.json is missing; it is made by: dvc repro evaluate-cifar10@quick-vgg16-adam-0" in done.output


def test_several_seeds(audited: Any) -> None:
    audited.edit(lambda raw: raw.update(seeds=[0, 3]))
    audited.fill()
    audited.settle()
    found = audited.answer(*IV, "--seed", "3")
    assert (found["number"]["n"], found["seed"], list(found["number"]["seeds"])) == (2, 3, ["0", "3"])
    assert found["reproduce"]["dvc"] == "dvc repro evaluate-cifar10@quick-vgg16-adam-3"
    assert found["number"]["std"]
    shown = audited.explain(*IV).stdout
    assert "\nBelow: seed 0 (for another: --seed 3)\nSpec: " in shown
    assert "\nTo make seed 0 again (the same bits on " in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "dvc.lock is missing; it is made by: git, or dvc repro"),
        ("", "dvc.lock: no stages of schema 2.0"),
        ("schema: '2.0'\nstages:\n  evaluate-cifar10@quick-vgg16-adam-0:\n    cmd: [\n", "dvc.lock: not YAML"),
    ],
)
def test_a_lock_that_is_no_lock(audited: Any, content: str | None, said: str) -> None:
    lock = audited.folder / "dvc.lock"
    lock.unlink()
    if content is not None:
        lock.write_text(content)
    done = audited.explain(*IV)
    assert done.exit_code == 1
    assert said in done.output
    assert done.output.count("\n") == 1


# How it starts


def test_it_starts_without_what_takes_long_to_import() -> None:
    program = (
        "import sys, stages.audit.explain, stages.audit.answer, stages.audit.text; "
        "print(sorted(sys.modules.keys() & {'pandas', 'torch', 'sklearn', 'scipy', 'matplotlib', 'mlflow', 'dvc'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
