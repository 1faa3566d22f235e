"""Predicts again from the stored weights, and trains again, in the arithmetic of the record; then compares bytes.

Bytes are the same on the same kind of processor with the same software, threads and variables. Where one of these is
another, it is named, and the comparison has a tolerance:

- Predictions: the share of the test images that are taken for another class. Rounding moves a logit by about its last
  digit, so only images near a boundary change. Between bfloat16 and float32, which are further apart than two
  processors with one format, 16 networks of the quick budget changed 0.2 % in the middle and 3.0 % at most.
- Training: the difference in accuracy. Rounding grows with every step, so two trainings come apart as two seeds do, and
  image by image nothing can be asked of them. The 34 numbers of the quick budget moved by 2.0 points in the middle and
  19.6 at most when nothing but the number of threads changed.

What is within its tolerance `agrees`, and is not `proved`: a record that names another processor than it ran on would
get as much.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from stages.audit.checks import Here
from stages.audit.findings import Finding, agrees, broken, missing, note
from stages.audit.numbers import Number
from stages.audit.told import Taken, Told, read_told
from stages.core.errors import StageError
from stages.core.filenames import HISTORY, RECORD, WEIGHTS
from stages.core.files import file_hash, read_json
from stages.core.progress import say
from stages.evaluate.prediction import Predicted, predict_test
from stages.records import provenance

_OF_BITS = ("torch", "torchvision", "numpy", "safetensors")


def predict_again(number: Number, here: Here, changed: float) -> Iterator[Finding]:
    """Predict a number's test images from its stored weights, and compare the logits with the stored ones.

    Where the bytes may differ, at most `changed` percent of the images may be taken for another class.
    """
    read = _read(number, here)
    if read is None:
        return  # said already
    whole, told = read
    folder = here.stages.train(number.key, number.seed).option("out")
    test = here.stages.evaluate(number.key, number.seed).option("test")
    absent = [path for path in (folder / WEIGHTS, test / "images.npy", test / "labels.npy") if not path.is_file()]
    if absent:
        yield missing(absent[0], f"--weights needs it; dvc pull, or dvc repro {told.stages['evaluate']}")
        return
    say(f"predicts again: {number}")
    yield from _compare_predictions(f"{number}, predicted again", whole["run"], folder, told, test, changed)


def _compare_predictions(
    where: str, record: dict[str, Any], folder: Path, told: Told, test: Path, changed: float
) -> Iterator[Finding]:
    """The logits of the weights in `folder` against the stored ones."""
    try:
        predicted = predict_test(record, folder, record["data"], test, len(told.labels))
    except (RuntimeError, SafetensorError, KeyError, ValueError, TypeError, OSError, EOFError, StageError) as error:
        reason = " ".join(str(error).split())
        yield broken(f"{where}, {folder / WEIGHTS}", f"no predictions ({reason})", f"those of {told.run.stage}")
        return
    apart = differing(told.evaluated, predicted.numerics)
    found, expected = _npy_hash(predicted.logits), told.sha256.get("logits.npy")
    if found == expected:
        yield note(f"{where}: the same logits, byte for byte")
    elif not apart:
        yield broken(f"{where}, logits", f"sha256 {found}", f"{expected}, on the same processor and software")
    else:
        yield _within(where, _share_changed(predicted, told), changed, "% of the images changed class", apart)


def train_again(number: Number, here: Here, changed: float, points: float) -> Iterator[Finding]:
    """Train a number's cell once more, into a temporary folder, and compare weights, history and predictions.

    Where the bytes may differ, the accuracy may come out at most `points` apart. Raises StageError when the training
    fails, or when today's code, parameters or data are not the recorded ones: that would be another training.
    """
    read = _read(number, here)
    if read is None:
        return
    _, told = read
    stage = here.stages.train(number.key, number.seed)
    _refuse_another(told, here)
    say(f"trains again: {number}")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "run"
        command = [
            *(sys.executable, "-m", "stages.train", str(number.key)),
            *("--budget", here.budget),
            "--no-mlflow",
        ]
        command += ["--seed", str(number.seed), "--data", str(stage.option("data")), "--out", str(out)]
        done = subprocess.run(command, env=_environment(told.run), check=False)  # noqa: S603
        if done.returncode:
            how = f"ended with exit status {done.returncode}; its output is above"
            raise StageError(f"training {number.key} again {how}")
        test = here.stages.evaluate(number.key, number.seed).option("test")
        yield from _compare_training(f"{number}, trained again", out, told, test, changed, points)


def _compare_training(
    where: str, out: Path, told: Told, test: Path, changed: float, points: float
) -> Iterator[Finding]:
    """A second run's bytes against the first's, and its predictions; where the bytes may differ, its accuracy."""
    record = read_json(out / RECORD, told.run.stage)
    apart = differing(told.run, record, record["environment"])
    expected = {name: told.run.sha256.get(name) for name in (WEIGHTS, HISTORY)}
    found = {name: file_hash(out / name, "sha256") for name in expected}
    if found == expected:
        yield note(f"{where}: the same weights and history, byte for byte")
        yield from _compare_predictions(where, record, out, told, test, changed)
    elif apart:
        predicted = predict_test(record, out, record["data"], test, len(told.labels))
        percent = 100 * float((predicted.classes == predicted.labels).mean())
        what = f"points of accuracy apart ({percent:.2f} %)"
        yield _within(where, abs(percent - 100 * told.accuracy), points, what, apart)
    for name in expected if not apart else ():
        if found[name] != expected[name]:
            why = f"{expected[name]}, on the same processor and software"
            yield broken(f"{where}, {name}", f"sha256 {found[name]}", why)


def differing(taken: Taken, numerics: dict[str, Any], machine: dict[str, Any] | None = None) -> list[str]:
    """What bits depend on and is not as it was: `threads 1, was 2`. `machine` is that of this process by default."""
    machine = machine or provenance.environment()
    then = taken.environment
    pairs = [(name, numerics[name], getattr(taken, name)) for name in ("device", "precision", "threads")]
    pairs += [(name, numerics["backend"].get(name), was) for name, was in taken.backend.items()]
    pairs += [("processor", machine["processor"], then.processor)]
    pairs += [(name, machine["packages"].get(name), then.packages.get(name)) for name in _OF_BITS]
    now = machine["variables"]
    names = sorted((now.keys() | then.variables.keys()) - {"CUBLAS_WORKSPACE_CONFIG"})  # set by the code itself
    pairs += [(name, now.get(name), then.variables.get(name)) for name in names]
    return [f"{name} {is_now}, was {was}" for name, is_now, was in pairs if is_now != was]


def _within(where: str, found: float, allowed: float, what: str, apart: list[str]) -> Finding:
    others = "; ".join(apart)
    if found <= allowed:
        return agrees(f"{where}: {found:.2f} {what}, within {allowed:g}; other bits are to be expected: {others}")
    return broken(where, f"{found:.2f} {what}", f"at most {allowed:g} ({others or 'the same processor and software'})")


def _read(number: Number, here: Here) -> tuple[dict[str, Any], Told] | None:
    path = here.result(number)
    if not path.is_file():
        return None
    read = read_told(path, here.stages.evaluate(number.key, number.seed).name)
    return None if isinstance(read, Finding) else read


def _share_changed(predicted: Predicted, told: Told) -> float:
    """Percent of the images that are taken for another class than the result says."""
    stored = np.frombuffer(told.predictions.encode(), np.uint8) - ord("0")
    return 100 * float((predicted.classes != stored).mean()) if len(predicted.classes) == len(stored) else 100.0


def _npy_hash(logits: NDArray[np.float32]) -> str:
    """sha256 of the file that `evaluate` writes of them."""
    buffer = BytesIO()
    np.save(buffer, logits, allow_pickle=False)
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def _refuse_another(told: Told, here: Here) -> None:
    """Raise StageError unless code, parameters and data are here as they were recorded."""
    for path, dep in told.run.deps.items():
        found = here.disk.tree(Path(path))
        if found is None or found["md5"] != dep.md5:
            state = "is not here" if found is None else "is not what it was trained with"
            raise StageError(
                f"--retrain {told.cell}: {path} {state}; git checkout {told.run.git.commit}, and dvc repro"
            )
    resolved = here.params.run(told.cell, here.budget, told.seed).model_dump()
    if resolved != told.run.config:
        raise StageError(
            f"--retrain {told.cell}: params.yaml has other settings than it was trained with; "
            f"git checkout {told.run.git.commit} -- params.yaml"
        )


def _environment(run: Taken) -> dict[str, str]:
    """The variables of the recorded run where they decide bits or threads, and this process's own elsewhere.

    A budget whose threads are `auto` takes those that OpenMP is given.
    """
    prefixes = (*provenance.OF_BITS, *provenance.OF_SPEED)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}
    recorded = {**run.environment.speed_variables, **run.environment.variables}
    hidden = {} if run.device.startswith("cuda") else {"CUDA_VISIBLE_DEVICES": ""}
    return {**kept, **recorded, **hidden, "OMP_NUM_THREADS": str(run.threads)}
