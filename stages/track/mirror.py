"""The mirror process: reads one JSON event a line on standard input, and tells MLflow.

    python -m stages.track.mirror        (started by stages.track.client)

It runs beside the stage, so that neither MLflow's import nor a slow server takes time from the training, and nothing
that goes wrong in it can end the training. It answers each event that wants an answer with one JSON line.
"""

import json
import sys
import time
from typing import Any


def main() -> None:
    """Serve events until `close` or the end of the input."""
    try:
        from stages.track.store import Store, quieten

        quieten()
        answer = Mirrored(Store()).serve()
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"}
    reply(answer)


class Mirrored:
    """The run that this process mirrors."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.run_id = ""

    def serve(self) -> dict[str, Any]:
        """Handle events in order. When the input ends without `close`, the stage was killed, and so says the run."""
        for line in sys.stdin:
            event = json.loads(line)
            if event["event"] == "close":
                self.close(event)
                return {"closed": self.run_id}
            getattr(self, event["event"])(event)
        if self.run_id:
            self.store.close(self.run_id, "KILLED", round(time.time() * 1000))
        return {"closed": self.run_id}

    def open(self, event: dict[str, Any]) -> None:
        """Create the run and answer with its id."""
        self.run_id = self.store.open(event["description"])
        reply({"run_id": self.run_id, "experiment": event["description"]["experiment"]})

    def resume(self, event: dict[str, Any]) -> None:
        """Add to a run that there is already."""
        self.run_id = event["run_id"]

    def metrics(self, event: dict[str, Any]) -> None:
        """One value for each of some metrics."""
        self.store.metrics(self.run_id, event["metrics"], event["time"], event["step"])

    def close(self, event: dict[str, Any]) -> None:
        """Add tags and artifacts, and end the run unless the event has no status."""
        self.store.tags(self.run_id, event["tags"])
        self.store.artifacts(self.run_id, event["artifacts"])
        if event["status"]:
            self.store.close(self.run_id, event["status"], event["time"])


def reply(answer: dict[str, Any]) -> None:
    """Write one line to the stage."""
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
