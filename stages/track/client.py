"""A stage's client of the mirror process: mirrors one MLflow run, never raises, waits at most `PATIENCE` in all."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stages.config.params import Params
from stages.core.progress import say
from stages.records.provenance import timestamp
from stages.track.describe import TrainingStart, description, finite, milliseconds
from stages.track.process import MirrorProcess
from stages.track.uri import log_line, tracking_uri

PATIENCE = 10.0  # seconds that one stage waits for MLflow, all its waits together
SYNC = "python -m stages.track sync"


class Mirror:
    """Mirrors one stage to MLflow. The first failure is one warning; after it nothing more is mirrored."""

    def __init__(self, enabled: bool = True) -> None:
        self.patience = PATIENCE
        self.failed = not enabled
        self.process: MirrorProcess | None = None  # from the first event on: a stage with nothing to say starts none
        self.answers: dict[str, Any] = {}

    def start(self, start: TrainingStart, params: Params) -> None:
        """Open the run of a training."""
        with self._harmless():
            self._send({"event": "open", "description": description(start, params)})

    def resume(self, run_id: str) -> None:
        """Add to a run that a training opened; its status and its end stay as they are."""
        self._send({"event": "resume", "run_id": run_id})

    def metrics(self, metrics: dict[str, float | None], step: int, at: float | None = None) -> None:
        """Add one value to the series of each metric, taken now or `at` a time (seconds since the epoch).

        None, NaN and infinities are left out: MLflow has no place for them.
        """
        if self.process is None:
            return
        with self._harmless():
            self._send({"event": "metrics", "metrics": finite(metrics), "time": _milliseconds(at), "step": step})

    def run(self) -> dict[str, str] | None:
        """The id and experiment of the run that was opened, or None when MLflow did not answer."""
        self._listen("run_id")
        if "run_id" not in self.answers:
            return None
        return {key: self.answers[key] for key in ("run_id", "experiment") if key in self.answers}

    def close(
        self,
        artifacts: Sequence[Path],
        tags: dict[str, str],
        status: str | None,
        at: float | None = None,
        row: dict[str, Any] | None = None,
    ) -> None:
        """Add tags and files to the run, end it with `status` if it was opened here, and wait until that is done.

        It ended now, or `at` a time in seconds since the epoch. `row` is that of the run (`stages.sync.rows`).
        """
        if self.process is None or "closed" in self.answers:
            return
        event = {"event": "close", "artifacts": [str(file.absolute()) for file in artifacts]}
        self._send(event | {"tags": tags, "status": status, "time": _milliseconds(at), "row": row})
        self._listen("closed")
        if why := self.answers.get("row_error"):
            what = f"MLflow at {log_line(tracking_uri())}: {log_line(why)}"
            say(f"warning: {what}: the row's mean is not renewed; {SYNC} does it")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.close([], {}, "FAILED" if issubclass(kind, Exception) else "KILLED")
        if self.process is not None:
            self.process.end(max(self.patience, 0.0))

    def _send(self, event: dict[str, Any]) -> None:
        """Hand over an event, without waiting, and hear whether an earlier one has failed."""
        if self.failed:
            return
        with self._harmless():
            self.process = self.process or MirrorProcess()
            self.process.send(event)
        self._listen()

    def _listen(self, wanted: str | None = None) -> None:
        """Take the answers that there are; with `wanted`, wait for the one that has this key."""
        while self.process is not None and not self.failed and wanted not in self.answers:
            start = time.monotonic()
            answer = self.process.answer(max(self.patience, 0.0) if wanted else 0.0)
            self.patience -= time.monotonic() - start
            if answer is None:
                if wanted:
                    self._fail(f"no answer within {PATIENCE:.0f} s")
                return
            if "error" in answer:
                self._fail(answer["error"])
            self.answers |= answer

    def _fail(self, why: str) -> None:
        self.failed = True
        if self.process is not None:
            self.process.kill()  # lest it takes the end of its input for the end of the stage
        what = f"not mirrored to MLflow at {log_line(tracking_uri())}: {log_line(why)}"
        say(f"warning: {what}. The stage goes on; its results are in files, and {SYNC} adds them to MLflow later")

    @contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")


def _milliseconds(seconds: float | None) -> int:
    """As a run record has the time, to the millisecond, so that a sync from the record finds what is there."""
    return milliseconds(timestamp(time.time() if seconds is None else seconds))
