"""The mirror process: reads one JSON event a line on standard input, and tells MLflow.

    python -m stages.track.mirror        (started by stages.track.process)

It runs beside the stage, so that neither MLflow's import nor a slow server takes time from the training, and nothing
that goes wrong in it can end the training. It answers each event that wants an answer with one JSON line.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from stages.track.store.runs import Store

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # only stage `download` goes to the network
    "MLFLOW_DISABLE_AGENT_HINT": "1",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_ENVIRONMENT = {
    **QUIET,
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # a dead server fails within seconds; by default it takes minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",  # seconds
}
_NOT_NEEDED = ("numpy", "pandas")  # a third of MLflow's import; mlflow-skinny does without them


def main() -> None:
    """Serve events until `close` or the end of the input."""
    answers = own_answers()
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        answer = MirroredRun(connect(), answers).serve(sys.stdin)
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    reply(answer, answers)


def own_answers() -> TextIO:
    """Standard output for answers alone; what anything else prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def connect() -> "Store":
    """Import MLflow and open its store: nearly all that a mirror costs, 1.5 s of CPU where it would be 2.2 s."""
    sys.modules.update(dict.fromkeys(_NOT_NEEDED))  # type: ignore[arg-type]  # None: "import" finds no such module
    gc.disable()  # what an import makes stays
    from stages.track.store.runs import Store

    store = Store()
    gc.freeze()
    gc.enable()
    return store


class MirroredRun:
    """The run that this process mirrors."""

    def __init__(self, store: "Store", answers: TextIO) -> None:
        self.store = store
        self.answers = answers
        self.run_id = ""
        self.opened = False  # here, and so to be ended here
        self.stop_system_metrics: Callable[[], None] | None = None

    def serve(self, events: TextIO) -> dict[str, Any]:
        """Handle events in order. When the input ends without `close`, the stage was killed, and so says its run."""
        for line in events:
            event = json.loads(line)
            if event["event"] == "close":
                return {"closed": self.run_id} | self.close(event)
            getattr(self, event["event"])(event)
        self.end("KILLED", round(time.time() * 1000))
        return {"closed": self.run_id}

    def open(self, event: dict[str, Any]) -> None:
        """Create the run, answer with its id, and sample this machine, which is the stage's too, where asked for."""
        asked_for = self.store.wants_system_metrics()
        self.run_id = self.store.open(event["description"])
        self.opened = True
        reply({"run_id": self.run_id, "experiment": event["description"]["experiment"]}, self.answers)
        if asked_for:
            self.stop_system_metrics = self.store.sample_system_metrics(self.run_id)

    def resume(self, event: dict[str, Any]) -> None:
        """Add to a run that there is already."""
        self.run_id = event["run_id"]
        reply({"run_id": self.run_id}, self.answers)

    def metrics(self, event: dict[str, Any]) -> None:
        """One value for each of some metrics."""
        self.store.metrics(self.run_id, [(event["metrics"], event["time"], event["step"])])

    def close(self, event: dict[str, Any]) -> dict[str, str]:
        """Add artifacts, then the tags that say that all is there; end the run if a status is given; renew its row.

        The run is whole before the row's turn comes: a failure there is returned as `row_error`, and raises nothing.
        """
        self.store.artifacts(self.run_id, event["artifacts"])
        self.store.tags(self.run_id, event["tags"])
        self.end(event["status"], event["time"])
        if event.get("row"):
            from stages.track.store.rows import RowRuns

            try:
                RowRuns(self.store).sync(event["row"], whole=False)
            except Exception as error:
                return {"row_error": f"{type(error).__name__}: {error}"}
        return {}

    def end(self, status: str | None, time: int) -> None:
        """End the run, if it was opened here, with `status` unless that is None."""
        if self.stop_system_metrics:
            self.stop_system_metrics()
            self.stop_system_metrics = None
        if self.opened and status:
            self.store.close(self.run_id, status, time)


def reply(answer: dict[str, Any], answers: TextIO) -> None:
    """Write one line to the stage."""
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
