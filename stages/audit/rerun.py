"""Predicts once more from the stored weights, and trains once more, in the arithmetic of the record; compares bytes.

Bytes are the same on the same kind of processor with the same software, threads and variables. Where one of these is
another, it is named, and the comparison has a tolerance:

- Predictions, made in float32: the share of the test images that are taken for another class. Rounding moves a logit by
  about its last digit, so only images near a boundary change.
- Training: the difference in accuracy. Rounding grows with every step, so two trainings come apart as two seeds do, and
  image by image nothing can be asked of them. The 34 numbers of the quick budget moved by 2.0 points in the middle and
  19.6 at most when nothing but the number of threads changed.

What is within its tolerance `agrees`, which raises no level: a record that names another processor than it ran on would
get as much. Of predictions the logits are held against each other too, so that a class changes by rounding alone. Where
the recorded device is not here, as a GPU, the processor predicts: a record that names one does not escape.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from stages.audit.findings import Finding, agrees, broken, invalid, missing, note, passed
from stages.audit.numbers import Number
from stages.audit.recount import classes_of, npy_sha256
from stages.audit.workspace import Workspace
from stages.config.settings import Cell
from stages.core.errors import ParamError, StageError
from stages.core.filenames import HISTORY, RECORD, WEIGHTS
from stages.core.files import file_hash
from stages.core.progress import say
from stages.evaluate.prediction import LabelledPredictions, predict_test
from stages.records import provenance
from stages.records.copies import preprocess_entry
from stages.records.evaluation import Evaluation, logits_path
from stages.records.provenance import Environment
from stages.records.run import NumericsRecord, TrainingRun

# Of the largest logit of an image. Float32 on other instructions moved four networks by 1e-5 of it or less, and a
# network of a GPU (WRN-16-4, H200) by 2.3e-6 on a processor.
_ROUNDING = 0.001
_MOST_THREADS = 1024  # PyTorch starts as many as a record asks for
_OF_BITS = ("torch", "torchvision", "numpy", "safetensors")


def predict_again(number: Number, workspace: Workspace, changed: float) -> Iterator[Finding]:
    """Predict a number's test images from its stored weights, and compare the logits with the stored ones.

    Where the bytes may differ, at most `changed` percent of the images may be taken for another class.
    """
    result, _ = workspace.read(number)
    if result is None:
        return  # said already
    weights = workspace.stages.train(number.key, number.seed).option("out") / WEIGHTS
    test = workspace.stages.evaluate(number.key, number.seed).option("test")
    if absent := _absent(weights, *_test_arrays(test)):
        how = _how(result)
        yield missing(absent[0], how, "derived" if absent[0] != weights else "predicted")
        if absent[0] != weights:
            yield missing(absent[0], how, "predicted")
        return
    say(f"predicts again: {number}")
    yield from _compare_predictions(f"{number}, predicted again", result.run, weights, result, test, changed)


def _how(result: Evaluation) -> str:
    return f"dvc pull if a remote has it, or dvc repro {result.stage}"


def _test_arrays(folder: Path) -> tuple[Path, Path]:
    return folder / "images.npy", folder / "labels.npy"


def _absent(*paths: Path) -> list[Path]:
    return [path for path in paths if not path.is_file()]


def _compare_predictions(
    where: str, run: TrainingRun, weights: Path, result: Evaluation, test: Path, changed: float
) -> Iterator[Finding]:
    """The logits that weights give against the stored ones; the arithmetic is that of the recorded evaluation."""
    if (threads := result.numerics.threads) > _MOST_THREADS:
        yield invalid(f"{where}, numerics.threads", f"{threads}, more than any machine has")
        return
    try:
        predicted = _predict(run, weights, result, test)
    except (RuntimeError, SafetensorError, KeyError, ValueError, TypeError, OSError, EOFError, StageError) as error:
        reason = " ".join(str(error).split())
        yield broken(f"{where}, {weights}", f"no predictions ({reason})", f"those of {run.stage}")
        return
    differs = differing(result.provenance.environment, result.numerics, predicted.numerics)
    found, expected = npy_sha256(predicted.logits), result.sha256.logits
    if found == expected:
        yield passed("predicted", f"{where}: the same logits, byte for byte")
    elif not differs:
        yield broken(f"{where}, logits", f"sha256 {found}", f"{expected}, on the same processor and software")
    else:
        distance = _distance(predicted.logits, result)
        if distance > _ROUNDING:
            what = f"logits that are up to {distance:.2g} of an image's largest away"
            yield broken(
                f"{where}, logits", what, f"at most {_ROUNDING:g}, as rounding moves them ({'; '.join(differs)})"
            )
        share = _share_changed(predicted, result)
        yield _within(where, share, changed, "% of the images changed class", differs)


def _predict(run: TrainingRun, weights: Path, result: Evaluation, test: Path) -> LabelledPredictions:
    """Predict on the recorded device; on the processor where that is not here."""
    tested_with = result.numerics.model_dump(mode="json")
    cell = Cell.of(run.config.cell.model_dump())
    try:
        return predict_test(cell, weights, tested_with, run.data.content(), test, len(result.labels))
    except ParamError as error:
        if error.key != "device":
            raise
    on_processor = {**tested_with, "device": "cpu"}
    return predict_test(cell, weights, on_processor, run.data.content(), test, len(result.labels))


def train_again(number: Number, workspace: Workspace, changed: float, points: float) -> Iterator[Finding]:
    """Train a number's cell once more, into a temporary folder, and compare weights, history and predictions.

    Where the bytes may differ, the accuracy may come out at most `points` apart. Raises StageError when the training
    fails, or when today's code, settings or data are not the recorded ones: that would be another training.
    """
    result, _ = workspace.read(number)
    if result is None:
        return
    stage = workspace.stages.train(number.key, number.seed)
    _refuse_another(number, result, workspace)
    test = workspace.stages.evaluate(number.key, number.seed).option("test")
    if absent := _absent(*_test_arrays(test)):  # said before hours of training, which would end without an answer
        yield missing(absent[0], _how(result), "retrained")
        return
    say(f"trains again: {number}")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, number.key.dataset, number.key.name, f"s{number.seed}")  # the layout of data/runs
        command = [sys.executable, "-m", "stages.train", str(number.key), "--budget", workspace.budget, "--no-mlflow"]
        command += ["--seed", str(number.seed), "--spec", str(stage.option("spec"))]
        command += ["--data", str(stage.option("data")), "--out", str(out)]
        done = subprocess.run(command, env=_environment(result.run), check=False)  # noqa: S603
        if done.returncode:
            how = f"ended with exit status {done.returncode}; its output is above"
            raise StageError(f"training {number.key} again {how}")
        yield from _compare_training(f"{number}, trained again", out, result, test, changed, points)


def _compare_training(
    where: str, out: Path, result: Evaluation, test: Path, changed: float, points: float
) -> Iterator[Finding]:
    """A second run's bytes against the first's, and its predictions; where the bytes may differ, its accuracy."""
    first, second = result.run, TrainingRun.read(out / RECORD, result.run.stage)
    numerics, machine = second.numerics.model_dump(mode="json"), second.provenance.environment
    differs = differing(first.provenance.environment, first.numerics, numerics, machine)
    if len(first.machines) > 1:
        differs.append(f"one machine, was {len(first.machines)}")
    expected = {WEIGHTS: first.sha256.weights, HISTORY: first.sha256.history}
    found = {name: file_hash(out / name, "sha256") for name in expected}
    if found == expected:
        yield passed("retrained", f"{where}: the same weights and history, byte for byte")
        yield from _compare_predictions(where, second, out / WEIGHTS, result, test, changed)
    elif differs:
        predicted = _predict(second, out / WEIGHTS, result, test)
        percent = 100 * float((predicted.classes == predicted.labels).mean())
        what = f"points of accuracy apart ({percent:.2f} %)"
        yield _within(where, abs(percent - 100 * result.accuracy), points, what, differs)
    if found[WEIGHTS] != expected[WEIGHTS] and not differs:
        pairs = zip(first.times.epochs, second.times.epochs, strict=False)
        same = [one.parameters_sha256 == other.parameters_sha256 for one, other in pairs]
        if False in same:
            yield note(f"{where}: the parameters differ from epoch {same.index(False) + 1} on")
    for name in expected if not differs else ():
        if found[name] != expected[name]:
            why = f"{expected[name]}, on the same processor and software"
            yield broken(f"{where}, {name}", f"sha256 {found[name]}", why)


def differing(
    then: Environment, recorded: NumericsRecord, numerics: Mapping[str, Any], machine: Environment | None = None
) -> list[str]:
    """What bits depend on and is not as it was: `threads 1, was 2`. `machine` is that of this process by default."""
    machine = machine or provenance.environment()
    pairs = [(name, numerics[name], getattr(recorded, name)) for name in ("device", "precision", "threads")]
    backend = recorded.backend.model_dump(mode="json", exclude_unset=True)
    pairs += [(name, numerics["backend"].get(name), was) for name, was in backend.items()]
    pairs += [("processor", machine.processor, then.processor)]
    pairs += [(name, machine.packages.get(name), then.packages.get(name)) for name in _OF_BITS]
    now = machine.variables
    names = sorted((now.keys() | then.variables.keys()) - {"CUBLAS_WORKSPACE_CONFIG"})  # set by the code itself
    pairs += [(name, now.get(name), then.variables.get(name)) for name in names]
    return [f"{name} {is_now}, was {was}" for name, is_now, was in pairs if is_now != was]


def _within(where: str, found: float, allowed: float, what: str, differs: list[str]) -> Finding:
    others = "; ".join(differs)
    if found <= allowed:
        return agrees(f"{where}: {found:.2f} {what}, within {allowed:g}; other bits are to be expected: {others}")
    return broken(where, f"{found:.2f} {what}", f"at most {allowed:g} ({others or 'the same processor and software'})")


def _share_changed(predicted: LabelledPredictions, result: Evaluation) -> float:
    """Percent of the images that are taken for another class than the result says."""
    stored = classes_of(result.predictions)
    return 100 * float((predicted.classes != stored).mean()) if len(predicted.classes) == len(stored) else 100.0


def _distance(logits: NDArray[np.float32], result: Evaluation) -> float:
    """The largest difference to a stored logit, as a share of the largest of its image.

    Images whose logits are not finite in both, as of a diverged network, are left out. Infinite for other shapes, and
    where a logit is finite in one alone: `argmax` takes a NaN for the largest, so that one may name any class.
    """
    stored = np.load(logits_path(Path(result.file.path)), allow_pickle=False) if result.file else np.empty(0)
    if stored.shape != logits.shape or not np.array_equal(np.isfinite(stored), np.isfinite(logits)):
        return float("inf")
    finite = np.isfinite(stored).all(1) & np.isfinite(logits).all(1)
    ours, theirs = logits[finite], stored[finite]
    scale = np.maximum(np.abs(theirs).max(1, keepdims=True, initial=0.0), 1e-6)
    return float((np.abs(ours - theirs) / scale).max(initial=0.0))


def _refuse_another(number: Number, result: Evaluation, workspace: Workspace) -> None:
    """Raise StageError unless settings, code and data are here as they were recorded."""
    run = result.run
    asked, commit = f"--retrain {run.cell}", f"git checkout {run.provenance.git.commit}"
    allowed = {path: {dependency.md5} for path, dependency in run.provenance.inputs.items()}
    copies = workspace.other_copies(number, run)
    if copies and not copies.are_read:  # then those of dvc.lock are the same for it
        places = workspace.stages.places(number.key, number.seed)
        allowed[str(places.training)] |= {
            preprocess_entry(workspace.lock, places.preprocess).outs[str(places.training)]
        }
    for path, md5s in allowed.items():
        found = workspace.disk.tree(Path(path))
        if found is None or found.md5 not in md5s:
            state = "is not here" if found is None else "is not what it was trained with"
            raise StageError(f"{asked}: {path} {state}; {commit}, and dvc repro")
    today = workspace.specs[run.cell]
    if not run.config.are_of(today.settings.seeded(run.seed)):
        raise StageError(f"{asked}: params.yaml has other settings than it was trained with; {commit} -- params.yaml")
    then, now = run.provenance.code.modules, today.modules.train
    changed = sorted(path for path in then.keys() | now.keys() if then.get(path) != now.get(path))
    if changed:
        raise StageError(f"{asked}: {', '.join(changed)} not as it was trained with; {commit} -- stages")


def _environment(run: TrainingRun) -> dict[str, str]:
    """The variables of the recorded run where they decide bits or threads, and this process's own elsewhere."""
    prefixes = (*provenance.OF_BITS, *provenance.OF_SPEED)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    then = run.provenance.environment
    hidden = {} if run.numerics.device.startswith("cuda") else {"CUDA_VISIBLE_DEVICES": ""}
    threads = {"OMP_NUM_THREADS": str(run.numerics.threads)}
    return {**kept, **then.speed_variables, **then.variables, **hidden, **threads}
