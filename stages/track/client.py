"""The stage's end of the mirror: starts the process, sends events, never raises and waits at most `PATIENCE` in all."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from types import TracebackType
from typing import Any, Self

from stages.core.params import Params
from stages.core.progress import say
from stages.track.describe import description
from stages.track.uri import tracking_uri

PATIENCE = 10.0  # seconds that one stage waits for MLflow, all its waits together
MILLISECONDS = 1000


class Mirror:
    """Mirrors one stage to MLflow from a process of its own. Every failure is one warning, said once."""

    def __init__(self) -> None:
        self.answers: Queue[dict[str, Any]] = Queue()
        self.patience = PATIENCE
        self.failed = False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stages.track.mirror"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the stage alone; the mirror sees its input end, and says so
        )
        Thread(target=self._listen, daemon=True).start()

    def start(self, record: dict[str, Any], data: dict[str, Any], params: Params) -> None:
        """Open the run of a training."""
        self._send({"event": "open", "description": description(record, data, params)})

    def resume(self, run_id: str) -> None:
        """Add to a run that a training opened."""
        self._send({"event": "resume", "run_id": run_id})

    def metrics(self, metrics: dict[str, float | None], step: int) -> None:
        """Add one value, taken now, to the series of each metric."""
        self._send({"event": "metrics", "metrics": metrics, "time": _now(), "step": step})

    def run(self) -> dict[str, str] | None:
        """The id and experiment of the run that was opened, or None when MLflow did not answer."""
        answer = self._wait()
        return answer if answer and "run_id" in answer else None

    def close(self, artifacts: Sequence[Path], tags: dict[str, str], status: str | None) -> None:
        """Add tags and files to the run, and end it with `status` unless that is None; wait until it is done."""
        event = {"event": "close", "artifacts": [str(file.resolve()) for file in artifacts]}
        self._send(event | {"tags": tags, "status": status, "time": _now()})
        answer = self._wait()
        while answer is not None and not answer.keys() & {"closed", "error"}:
            answer = self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.close([], {}, "FAILED")
        try:
            self.process.communicate(timeout=max(self.patience, 0.1))
        except (subprocess.TimeoutExpired, BrokenPipeError, ValueError):
            self.process.kill()
            self.process.wait()

    def _send(self, event: dict[str, Any]) -> None:
        if self.failed or self.process.stdin is None:
            return
        try:
            self.process.stdin.write(json.dumps(event) + "\n")
            self.process.stdin.flush()
        except OSError:
            self._wait()  # it has ended, and its last line says why

    def _wait(self) -> dict[str, Any] | None:
        if self.failed:
            return None
        start = time.monotonic()
        try:
            answer = self.answers.get(timeout=max(self.patience, 0.0))
        except Empty:
            answer = {"error": f"no answer within {PATIENCE:.0f} s"}
        self.patience -= time.monotonic() - start
        if "error" in answer:
            self.failed = True
            why = f"{answer['error']}. The stage goes on; its results are files"
            say(f"warning: not mirrored to MLflow at {tracking_uri()}: {why}")
        return answer

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.answers.put(json.loads(line))
        self.answers.put({"error": "the mirror process ended early"})


def _now() -> int:
    return round(time.time() * MILLISECONDS)
