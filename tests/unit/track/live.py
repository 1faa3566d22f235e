"""Mirrors a result live, as stages `train` and `evaluate` do it, and breaks off where asked; syncs it."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stages.config.params import Params
from stages.evaluate.__main__ import mirror_metrics
from stages.records.evaluation import logits_path
from stages.sync.sync import _ENVIRONMENT, sync
from stages.track import client
from stages.track.client import Mirror
from stages.track.describe import TrainingStart, end_tags, epoch_metrics, run_metrics
from stages.track.mirror import MirroredRun
from tests.shipped import shipped_params
from tests.unit.track.evaluated import put_result, put_run, sealed, typed


class Here:
    """A mirror process, as far as its stage sees one, in this process: importing MLflow is all that one costs."""

    def __init__(self) -> None:
        from stages.track.store.runs import Store

        self.said = io.StringIO()
        self.run: MirroredRun | None = MirroredRun(Store(), self.said)
        self.heard: list[dict[str, Any]] = []

    def send(self, event: dict[str, Any]) -> None:
        """Handle an event at once, unless killed."""
        if self.run is None:
            return
        if event["event"] == "close":
            self.heard.append(self.run.serve(io.StringIO(json.dumps(event))))
            return
        getattr(self.run, event["event"])(event)
        self.heard += map(json.loads, self.said.getvalue().splitlines())
        self.said.seek(0)
        self.said.truncate()

    def answer(self, timeout: float) -> dict[str, Any] | None:
        """The next answer; nobody waits for one that does not come."""
        return self.heard.pop(0) if self.heard else None

    def end(self, timeout: float) -> None:
        """A stage that ended: all is handled."""

    def kill(self) -> None:
        """Handle nothing more."""
        self.run = None


@contextmanager
def mirrored_here() -> Iterator[None]:
    """No process is started for a mirror meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "MirrorProcess", Here)
        yield


def seconds(time: str) -> float:
    """As `time.time()` gives it: finer than the millisecond that the record keeps."""
    return datetime.fromisoformat(time).timestamp() + 0.0007


def train(
    made: dict[str, Any], params: Params, folder: Path, until: int = -1, breaks: Callable[[], None] | None = None
) -> None:
    """Stage `train`, less the training. Before event number `until` the mirror process is killed, or it `breaks`.

    The events: 0 open, 1 and 2 the epochs, 3 what is measured once, 4 the end. The run's id goes into the record.
    """
    run = typed(made).run
    with Mirror() as mirror:

        def at(event: int) -> None:
            if event == until:
                settle(mirror)
                (breaks or partial(kill, mirror))()

        at(0)
        mirror.start(TrainingStart.of(run), params)
        for epoch, times in zip(typed(made).history, run.times.epochs, strict=True):
            at(epoch.epoch)
            mirror.metrics(epoch_metrics(epoch), epoch.epoch, seconds(times.ended))
        made["run"]["mlflow"] = mirror.run()
        made |= sealed(made)
        run, out = typed(made).run, put_run(made, folder)
        ended = seconds(run.times.ended)
        at(3)
        mirror.metrics(run_metrics(run), 0, ended)
        at(4)
        mirror.close([out / "run.json", out / "history.json"], end_tags(run), "FINISHED", ended)


def evaluate(made: dict[str, Any], folder: Path, params: Params | None = None) -> None:
    """Stage `evaluate`, less the evaluation; `params` are those of `folder`, by default the shipped ones."""
    from stages.evaluate.confusion import save_confusion
    from stages.evaluate.report import report_text

    out, result = folder / "predictions", typed(made)
    out.mkdir(exist_ok=True)
    (out / "report.txt").write_text(report_text(result.report, result.classes))
    save_confusion(result.confusion, result.classes, result.cell, out / "confusion.png")
    file = put_result(made, folder)
    with Mirror() as mirror:
        if result.run.mlflow:
            mirror.resume(result.run.mlflow.run_id)
        artifacts = [file, logits_path(file), out / "report.txt", out / "confusion.png"]
        mirror_metrics(mirror, result, artifacts, params or shipped_params())


def sync_here(*options: str) -> Result:
    """Run `python -m stages.track sync` in this process, and leave its environment as it was."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _ENVIRONMENT.items():
            patch.setenv(name, value)
        return CliRunner().invoke(sync, options)


def settle(mirror: Mirror) -> None:
    """Wait until MLflow holds all that the mirror was sent."""
    if mirror.run():
        assert mirror.process
        mirror.resume(mirror.answers.pop("run_id"))  # answered after all that was sent before it
        assert mirror.run()


def kill(mirror: Mirror) -> None:
    """End the mirror process; one that has not started never does."""
    if mirror.process:
        mirror.process.kill()
    mirror.failed = True
